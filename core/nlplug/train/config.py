"""What one training run is told: one flat list of settings, the same in Python, TOML and flags."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Freeze = Literal["none", "embeddings", "encoder"]
ClassWeights = Literal["none", "balanced"]


class _StartConfig(BaseModel):
    """What fine-tuning starts from."""

    base: str = Field(description="Checkpoint to start from: a folder or a Hub id.")


class RunConfig(BaseModel):
    """What is read and written; every run has these settings."""

    model_config = ConfigDict(extra="forbid")

    data: list[str] = Field(
        min_length=1,
        description="Training data: files (.csv .tsv .jsonl .json .txt .conll .bio, also .gz; "
        ".parquet) or a `datasets` id, as owner/name or owner/name:split.",
    )
    output: Path = Field(description="Folder of the finished bundle.")
    eval: list[str] = Field(
        default=[],
        description="Evaluation data; without it a share of the training data is held out.",
    )
    eval_share: float = Field(
        ge=0,
        lt=1,
        default=0.1,
        description="Share held out (by a hash of the text) where no --eval is given.",
    )
    text_column: str = Field(default="text", description="Column of the text.")
    max_rows: int | None = Field(
        ge=1, default=None, description="Read at most this many rows of the training data."
    )
    max_eval_rows: int | None = Field(
        ge=1, default=None, description="Read at most this many rows of the evaluation data."
    )
    source: str = Field(
        default="",
        description="Language, or column, to translate from; default: the column source, else the "
        "first language of a row.",
    )
    target: list[str] = Field(
        default=[],
        description="Languages, or columns, to translate into; default: the column target, else "
        "all other languages of a row.",
    )
    target_token: bool | None = Field(
        default=None,
        description="Begin a source with its target language, as >>fr<<; default: where there are "
        "several.",
    )
    resume: bool = Field(default=False, description="Go on with a run that was killed.")


class LoopConfig(RunConfig):
    """How a model is trained, whatever it is."""

    epochs: float = Field(gt=0, default=3.0, description="Passes over the data.")
    batch_size: int = Field(ge=1, default=32, description="Rows a step.")
    batch_tokens: int | None = Field(
        ge=16,
        default=None,
        description="Make batches of like lengths with this many tokens, padding included, "
        "instead of --batch-size rows.",
    )
    accumulation: int = Field(
        ge=1, default=1, description="Batches summed up before one optimizer step."
    )
    learning_rate: float = Field(gt=0, default=5e-5, description="Peak learning rate.")
    layer_decay: float = Field(
        gt=0,
        le=1,
        default=1.0,
        description="Factor on the learning rate for each layer further from the head.",
    )
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        default="linear", description="How the learning rate goes down."
    )
    warmup: float = Field(
        ge=0,
        lt=1,
        default=0.06,
        description="Share of the steps over which the learning rate rises.",
    )
    weight_decay: float = Field(ge=0, default=0.01, description="Weight decay.")
    beta2: float = Field(gt=0, lt=1, default=0.999, description="Decay of AdamW's second moment.")
    label_smoothing: float = Field(ge=0, lt=1, default=0.0, description="Label smoothing.")
    dropout: float | None = Field(
        ge=0,
        lt=1,
        default=None,
        description="Dropout between layers (none inside attention); default: the checkpoint's.",
    )
    freeze: Freeze = Field(default="none", description="Part that is not trained.")
    freeze_layers: int = Field(
        ge=0, default=0, description="So many of the lowest layers, with the embeddings, stay too."
    )
    eval_steps: int | None = Field(
        ge=1,
        default=None,
        description="Evaluate and save every so many steps; default: each epoch.",
    )
    save_minutes: float | None = Field(
        gt=0,
        default=None,
        description="Also save after so many minutes, so that a killed run loses no more.",
    )
    patience: int | None = Field(
        ge=1, default=None, description="Stop after this many evaluations without a better one."
    )
    average: int = Field(
        ge=1,
        default=1,
        description="Average the weights of this many last checkpoints; kept where it is better.",
    )
    simulate_int8: bool = Field(
        default=False, description="Train with the rounding of an int8 export in every product."
    )
    bf16: bool = Field(default=False, description="Train in bfloat16 autocast.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where to train.")
    threads: int | None = Field(
        ge=1, default=None, description="CPU threads; default: torch's own choice."
    )
    seed: int = Field(default=0, description="Seed of initialization, order and dropout.")
    report_to: list[str] = Field(default=[], description="Trackers, such as tensorboard or wandb.")


class _RowsConfig(RunConfig):
    """How labelled rows are read, and in which windows."""

    label_column: str | None = Field(
        default=None,
        description="Column of the label, or of tags or spans; default: label, labels, ner_tags, "
        "tags, entities, spans: the first that there is.",
    )
    labels: list[str] = Field(
        default=[],
        description="Labels in the order of their ids; default: the task's, else from the data.",
    )
    soft_column: str = Field(
        default="",
        description="Column with one probability a label, from a teacher; rows that lack it count "
        "by their label.",
    )
    multi_label: bool | None = Field(
        default=None, description="Several labels a row; default: when the label is a list."
    )
    class_weights: ClassWeights = Field(
        default="none", description="Weigh the loss by inverse class frequency."
    )
    max_length: int = Field(
        ge=8,
        default=256,
        description="Window in tokens; of a longer text each epoch sees another window.",
    )
    window: int | None = Field(
        ge=8, default=None, description="Window the bundle answers with; default: the model's own."
    )


class _ResultConfig(RunConfig):
    """What becomes of the trained model."""

    precisions: list[Literal["fp32", "fp16", "int8"]] = Field(
        default=["fp32", "int8"], description="Precisions to export."
    )
    budget: float = Field(
        ge=0,
        default=0.005,
        description="Loss of the main metric that an exported precision may have.",
    )
    license: str = Field(default="", description="Licence of the result, for its manifest.")
    name: str = Field(default="", description="Name of the bundle; default: the output folder's.")
    description: str = Field(default="", description="One line on the model, for its manifest.")
    languages: list[str] = Field(default=[], description="Languages, such as en.")


class TrainConfig(_ResultConfig, LoopConfig, _RowsConfig, _StartConfig):
    """Settings of a training run; those without a default must be given.

    The parts stand in the order in which their settings are listed, the last one first.
    """

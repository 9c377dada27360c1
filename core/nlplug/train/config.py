"""The settings of a training run: one flat list, the same in Python, TOML and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nlplug.data.formats import DataFile
from nlplug.errors import OptionError
from nlplug.train.ways import WaysConfig

Settings = TypeVar("Settings", bound=BaseModel)
Tracker = Literal["tensorboard", "wandb", "mlflow"]
Freeze = Literal["none", "embeddings", "encoder"]
EvalShare = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Share of the training data to hold out if --eval is not given. A hash of "
        "the text selects the rows.",
    ),
]
Epochs = Annotated[float, Field(gt=0, description="Number of passes over the training data.")]
LearningRate = Annotated[float, Field(gt=0, description="Peak learning rate.")]
Schedule = Annotated[
    Literal["linear", "cosine", "constant_with_warmup"],
    Field(description="Learning rate schedule after warmup."),
]
Warmup = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Share of the steps during which the learning rate increases to its peak.",
    ),
]
WeightDecay = Annotated[
    float, Field(ge=0, description="Weight decay of AdamW. Biases and norms are not decayed.")
]
Beta2 = Annotated[float, Field(gt=0, lt=1, description="Decay rate of AdamW's second moment.")]


class _StartConfig(BaseModel):
    """The checkpoint that fine-tuning starts from."""

    base: str = Field(
        default="",
        description="Pretrained checkpoint to fine-tune: a folder, a Hub id, or a model in ONNX "
        "(a bundle, or the name of an installed one). Default: that of the task, if it has one.",
    )


class RunConfig(BaseModel):
    """Data and output; every run has these settings."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    data: list[str] = Field(
        min_length=1,
        description="Training data: a file (.csv .tsv .jsonl .json .txt .conll .bio, also .gz; "
        ".parquet .xlsx), or a data set of the Hub as owner/name or owner/name:split.",
    )
    output: Path = Field(description="Folder to write the finished bundle to.")
    eval: list[str] = Field(
        default=[],
        description="Evaluation data. Default: a share of the training data is held out.",
    )
    eval_share: EvalShare = 0.1
    text_column: str = Field(default="text", description="Column with the text.")
    format: Literal["csv", "tsv", "jsonl", "json", "conll", "txt", "parquet", "xlsx"] | None = (
        Field(default=None, description="Format of the data files. Default: from the file name.")
    )
    delimiter: str | None = Field(
        default=None,
        description="Column delimiter of a table: one character, or tab. Default: detected.",
    )
    encoding: str | None = Field(
        default=None, description="Encoding of the data files. Default: detected."
    )
    max_rows: int | None = Field(
        ge=1, default=None, description="Maximum number of training rows to read."
    )
    max_eval_rows: int | None = Field(
        ge=1,
        default=None,
        description="Maximum number of evaluation rows to use, at equal distances in the file.",
    )
    resume: bool = Field(default=False, description="Continue an interrupted run.")

    def data_file(self, path: Path) -> DataFile:
        """A file of these settings.

        Raises:
            OptionError: An unknown encoding, or a delimiter of several characters.
        """
        return DataFile(path, format=self.format, delimiter=self.delimiter, encoding=self.encoding)


class LoopConfig(RunConfig):
    """The training loop, for all kinds of models."""

    epochs: Epochs = 3.0
    batch_size: int = Field(ge=1, default=32, description="Rows per batch.")
    batch_tokens: int | None = Field(
        ge=16,
        default=None,
        json_schema_extra={"private": None},
        description="Tokens per batch, padding included, instead of --batch-size rows. Rows of "
        "similar length are batched together.",
    )
    accumulation: int = Field(
        ge=1,
        default=1,
        json_schema_extra={"private": 1},
        description="Batches whose gradients are accumulated for one optimizer step.",
    )
    learning_rate: LearningRate = 5e-5
    layer_decay: float = Field(
        gt=0,
        le=1,
        default=1.0,
        description="Factor by which the learning rate decreases from each layer to the layer "
        "below it.",
    )
    schedule: Schedule = "linear"
    minutes: float | None = Field(
        gt=0,
        default=None,
        json_schema_extra={"private": None},
        description="Minutes of training, evaluations included, instead of --epochs and "
        "--schedule. The learning rate rises for the share --warmup of this time, and falls to "
        "zero during its second half.",
    )
    warmup: Warmup = 0.06
    weight_decay: WeightDecay = 0.01
    beta2: Beta2 = 0.999
    label_smoothing: float = Field(ge=0, lt=1, default=0.0, description="Label smoothing factor.")
    dropout: float | None = Field(
        ge=0,
        lt=1,
        default=None,
        description="Dropout between layers; attention has none. Default: the value of the base.",
    )
    freeze: Freeze = Field(default="none", description="Part of the model that is not trained.")
    freeze_layers: int = Field(
        ge=0,
        default=0,
        description="Number of lowest layers that are not trained. If not 0, the "
        "embeddings are not trained either.",
    )
    eval_steps: int | None = Field(
        ge=1,
        default=None,
        description="Number of steps between evaluations, at which a checkpoint is also saved. "
        "Default: after each epoch.",
    )
    save_minutes: float | None = Field(
        gt=0,
        default=2.0,
        description="Maximum age of the last checkpoint in minutes. After this time a checkpoint "
        "is saved without evaluation; none: only at evaluations.",
    )
    progress_seconds: float = Field(
        gt=0,
        default=10.0,
        description="Seconds between progress lines if standard error is not a terminal.",
    )
    patience: int | None = Field(
        ge=1, default=None, description="Stop after this number of evaluations without improvement."
    )
    average: int = Field(
        ge=1,
        default=1,
        description="Number of last checkpoints whose weights are averaged. The average is kept "
        "if its score is not worse.",
    )
    simulate_int8: bool = Field(
        default=False,
        json_schema_extra={"private": False},
        description="Round weights and activations as in an int8 export while training.",
    )
    bf16: bool = Field(
        default=False,
        json_schema_extra={"private": False},
        description="Train with bfloat16 mixed precision.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Device to train on."
    )
    threads: int | None = Field(
        ge=1, default=None, description="Number of CPU threads. Default: chosen by PyTorch."
    )
    seed: int = Field(
        default=0, description="Random seed of initialization, row order and dropout."
    )
    report_to: list[Tracker] = Field(
        default=[], description="Experiment trackers to report to: tensorboard, wandb, mlflow."
    )


class _ResultConfig(RunConfig):
    """The export of the trained model."""

    test: list[str] = Field(
        default=[],
        description="Test data: labelled rows for the quality gate and the report. Default: a part "
        "of the evaluation rows, which is then not used to select the checkpoint.",
    )
    test_share: float = Field(
        ge=0,
        lt=1,
        default=0.5,
        description="Share of the evaluation rows to use as test data if --test is not given; 0: "
        "the quality gate uses the rows that selected the checkpoint.",
    )
    allow_trivial: bool = Field(
        default=False,
        description="Export the model even if it is not better than a trivial answer, such as the "
        "most frequent label.",
    )
    strict: bool = Field(
        default=False, description="Stop before training if the data check has warnings."
    )
    precisions: list[Literal["fp32", "fp16", "int8"]] = Field(
        default=["fp32", "int8"], description="Precisions to export."
    )
    budget: float = Field(
        ge=0,
        default=0.005,
        description="Maximum decrease of the main metric, compared with PyTorch, for an exported "
        "precision; 0.005 is half a point.",
    )
    license: str = Field(default="", description="License of the bundle, for its manifest.")
    name: str = Field(
        default="", description="Name of the bundle. Default: the name of the output folder."
    )
    description: str = Field(
        default="", description="One-line description of the model, for its manifest."
    )
    languages: list[str] = Field(default=[], description="Languages of the model, such as en.")


class _WindowConfig(RunConfig):
    """The length of the inputs."""

    max_length: int = Field(
        ge=8,
        default=256,
        description="Maximum input length in tokens. From a longer text, each epoch trains on a "
        "different window.",
    )
    window: int | None = Field(
        ge=8,
        default=None,
        description="Input length of the finished bundle in tokens. Default: the maximum of the "
        "model.",
    )


class TrainConfig(_ResultConfig, WaysConfig, LoopConfig, _WindowConfig, _StartConfig):
    """Settings of a training run; those without a default must be given.

    A family with further settings has a subclass, which its record names. The settings of the last
    base class are listed first.
    """


class EncoderConfig(TrainConfig):
    """Settings of a training run of an encoder, some of which `nlplug.train.plan` chooses.

    Their values here are those of a run without a plan, such as one of several processes.
    """

    eval_share: EvalShare = Field(
        default=0.1,
        json_schema_extra={"chosen": True},
        description="Share of the training data to hold out if --eval is not given. A hash of the "
        "text selects the rows. Default: 0 for fewer than 2,000 rows, whose score is estimated by "
        "cross-validation; else 0.1.",
    )
    epochs: Epochs = Field(
        default=3.0,
        json_schema_extra={"chosen": True},
        description="Number of passes over the training data. Default: 3 to 10, for about 300 "
        "steps.",
    )
    batch_size: int = Field(
        ge=1,
        default=32,
        json_schema_extra={"chosen": True},
        description="Rows per batch. Default: 16 for fewer than 2,000 rows, else 32.",
    )
    learning_rate: LearningRate = Field(
        default=5e-5,
        json_schema_extra={"chosen": True},
        description="Peak learning rate. Default: by the hidden size of the base: 3e-4 up to 512, "
        "5e-5 up to 768, else 2e-5.",
    )
    warmup: Warmup = Field(
        default=0.06,
        json_schema_extra={"chosen": True},
        description="Share of the steps during which the learning rate increases to its peak. "
        "Default: 0.1.",
    )

    layer_decay: float = Field(
        gt=0,
        le=1,
        default=1.0,
        json_schema_extra={"chosen": True},
        description="Factor by which the learning rate decreases from each layer to the layer "
        "below it. Default: 0.8 for fewer than 2,000 rows, else 1.",
    )
    freeze: Freeze = Field(
        default="none",
        json_schema_extra={"chosen": True},
        description="Part of the model that is not trained. Default: the embeddings of a "
        "sentence encoder with fewer than 2,000 rows, else none.",
    )
    bf16: bool = Field(
        default=False,
        json_schema_extra={"chosen": True, "private": False},
        description="Train with bfloat16 mixed precision. Default: on a CPU with instructions for "
        "products of bfloat16 matrices (avx512_bf16, amx_bf16).",
    )
    probe: bool = Field(
        default=True,
        json_schema_extra={"private": False},
        description="Fit a linear probe on the base first. Fine-tuning starts from it, and it is "
        "the result if fine-tuning is not better.",
    )


class LabelledConfig(EncoderConfig):
    """Settings of a training run on labelled rows."""

    label_column: str | None = Field(
        default=None,
        description="Column with the label, the tags or the spans. Default: the first existing "
        "column of label, labels, ner_tags, tags, entities, spans.",
    )
    labels: list[str] = Field(
        default=[],
        description="Labels in the order of their ids. Default: the labels of the task, else "
        "those of the data.",
    )

    def data_file(self, path: Path) -> DataFile:
        """See `RunConfig.data_file`."""
        file = super().data_file(path)
        file.label_column = self.label_column
        return file


def validated(model: type[Settings], values: Mapping[str, Any], *, command: str = "") -> Settings:
    """Settings from values.

    Args:
        model: The pydantic model of the settings.
        values: The values by name.
        command: The command whose options they are; empty: they are arguments in Python.

    Raises:
        OptionError: A setting is missing, unknown or out of bounds.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A setting that is misspelled may be the one that is missing.
        first = min(
            error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden"
        )
        name = ".".join(str(part) for part in first["loc"])
        shown = f"--{name.replace('_', '-')}" if command else name
        known = f"The settings are {', '.join(model.model_fields)}."
        if first["type"] == "missing":
            raise OptionError(
                f"{shown} is not given.", hint=f"{command} --help" if command else known
            ) from None
        if first["type"] == "extra_forbidden":
            raise OptionError(f"There is no setting {name!r}.", hint=known) from None
        raise OptionError(f"{shown} is {first['input']!r}.", hint=f"{first['msg']}.") from None

"""What a training run from scratch is told: a shape, a vocabulary, and the loop's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from nlplug.train.config import LoopConfig, RunConfig, TrainConfig

Architecture = Literal["llama", "gpt2", "bert", "marian"]


class ShapeConfig(RunConfig):
    """The model and its tokenizer."""

    architecture: Architecture = Field(
        default="llama",
        description="Shape of the model: llama and gpt2 continue texts, bert reads them for other "
        "tasks to start from, marian translates pairs.",
    )
    tokenizer: str = Field(
        default="", description="Tokenizer to use, a folder or a Hub id; default: one is trained."
    )
    tokenizer_model: Literal["bpe", "unigram", "unigram-bytes", "wordpiece"] | None = Field(
        default=None,
        description="Kind of tokenizer that is trained; default: unigram for marian, wordpiece for "
        "bert, else byte-level bpe.",
    )
    vocabulary: int = Field(ge=16, default=8192, description="Tokens of a trained tokenizer.")
    max_length: int = Field(
        ge=8, default=512, description="Context in tokens; of marian, of each side."
    )
    layers: int = Field(ge=1, default=6, description="Layers; of marian, of the encoder.")
    decoder_layers: int | None = Field(
        ge=1, default=None, description="Layers of marian's decoder; default: as the encoder's."
    )
    hidden: int = Field(ge=8, default=320, description="Width of the model.")
    heads: int = Field(ge=1, default=5, description="Attention heads.")
    kv_heads: int | None = Field(
        ge=1, default=None, description="Key and value heads of llama; default: as many as heads."
    )
    intermediate: int | None = Field(
        ge=8,
        default=None,
        description="Width of the feed-forward layers; default: 8/3 of the model's for llama, "
        "else 4 times that.",
    )
    tied: bool = Field(default=True, description="One matrix for tokens going in and coming out.")


class PretrainConfig(LoopConfig, ShapeConfig):
    """Settings of a run from scratch; those without a default must be given.

    The parts stand in the order in which their settings are listed, the last one first.
    """

    output: Path = Field(description="Folder of the finished checkpoint.")
    eval_share: float = Field(
        ge=0,
        lt=1,
        default=0.02,
        description="Share held out (by a hash of the text) where no --eval is given.",
    )
    epochs: float = Field(gt=0, default=1.0, description="Passes over the data.")
    batch_size: int = Field(ge=1, default=16, description="Contexts, or pairs, a step.")
    learning_rate: float = Field(gt=0, default=1e-3, description="Peak learning rate.")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        default="cosine", description="How the learning rate goes down."
    )
    warmup: float = Field(
        ge=0,
        lt=1,
        default=0.02,
        description="Share of the steps over which the learning rate rises.",
    )
    weight_decay: float = Field(ge=0, default=0.1, description="Weight decay.")
    beta2: float = Field(gt=0, lt=1, default=0.98, description="Decay of AdamW's second moment.")

    def from_base(self, base: Path) -> TrainConfig:
        """The same run as training that starts from a checkpoint."""
        shared = type(self).model_fields.keys() & TrainConfig.model_fields.keys()
        settings = {name: getattr(self, name) for name in shared}
        return TrainConfig.model_validate({**settings, "base": str(base)})

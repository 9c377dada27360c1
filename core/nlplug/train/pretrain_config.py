"""The settings of a training run from scratch: a shape, a vocabulary, and the loop's."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from nlplug.errors import OptionError
from nlplug.train.config import LoopConfig, RunConfig, TrainConfig

Settings = TypeVar("Settings", bound=TrainConfig)


class ShapeConfig(RunConfig):
    """The model and its tokenizer."""

    architecture: str = Field(default="", description="Architecture of the model.")
    tokenizer: str = Field(
        default="", description="Tokenizer to use, a folder or a Hub id; default: one is trained."
    )
    tokenizer_model: Literal["bpe", "unigram", "wordpiece"] | None = Field(
        default=None,
        description="Kind of tokenizer that is trained; default: the usual one.",
    )
    vocabulary: int = Field(ge=16, default=8192, description="Tokens of a trained tokenizer.")
    max_length: int = Field(ge=8, default=512, description="Longest input in tokens.")
    layers: int = Field(ge=1, default=6, description="Layers; of two parts, the encoder's.")
    hidden: int = Field(ge=8, default=320, description="Width of the model.")
    heads: int = Field(ge=1, default=5, description="Attention heads.")
    intermediate: int | None = Field(
        ge=8,
        default=None,
        description="Width of the feed-forward layers; default: the usual multiple of hidden.",
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

    def check(self) -> None:
        """Refuse values that do not go together.

        Raises:
            OptionError: They do not.
        """
        if self.hidden % self.heads:
            raise OptionError(
                f"--hidden is {self.hidden}, which {self.heads} heads do not share evenly.",
                hint="Choose a multiple of --heads; 64 for each head is usual.",
            )

    def from_base(self, base: Path, settings: type[Settings]) -> Settings:
        """The same run as training that starts from a checkpoint.

        Args:
            base: The checkpoint.
            settings: The class of the settings of such a training.
        """
        shared = type(self).model_fields.keys() & settings.model_fields.keys()
        values = self.model_dump(include=set(shared))
        return settings.model_validate({**values, "base": str(base)})


def writes_text(config: PretrainConfig) -> None:
    """Refuse a tokenizer from whose tokens no text can be written.

    Raises:
        OptionError: It is WordPiece.
    """
    if config.tokenizer_model == "wordpiece":
        raise OptionError(
            f"--tokenizer-model is 'wordpiece', with which {config.architecture} cannot write.",
            hint="It does not keep white space: choose bpe or unigram, or --architecture bert.",
        )

"""The settings of training from scratch: model, tokenizer and training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from nlplug.errors import OptionError
from nlplug.train.config import (
    Beta2,
    Epochs,
    EvalShare,
    LearningRate,
    LoopConfig,
    RunConfig,
    Schedule,
    TrainConfig,
    Warmup,
    WeightDecay,
)

Settings = TypeVar("Settings", bound=TrainConfig)


class ShapeConfig(RunConfig):
    """The model and its tokenizer."""

    architecture: str = Field(default="", description="Architecture of the model.")
    tokenizer: str = Field(
        default="",
        description="Existing tokenizer to use: a folder or a Hub id. Default: train one.",
    )
    tokenizer_model: Literal["bpe", "unigram", "unigram-bytes", "wordpiece"] | None = Field(
        default=None,
        description="Model of the trained tokenizer. Default: the usual one of the architecture.",
    )
    vocabulary: int = Field(
        ge=16, default=8192, description="Vocabulary size of the trained tokenizer."
    )
    max_length: int = Field(ge=8, default=512, description="Maximum input length in tokens.")
    layers: int = Field(
        ge=1, default=6, description="Layers; in an encoder-decoder model, layers of the encoder."
    )
    hidden: int = Field(ge=8, default=320, description="Hidden size.")
    heads: int = Field(ge=1, default=5, description="Attention heads.")
    intermediate: int | None = Field(
        ge=8,
        default=None,
        description="Size of the feed-forward layers. Default: the usual multiple of --hidden.",
    )
    tied: bool = Field(
        default=True, description="Share the weights of input and output embeddings."
    )


class PretrainConfig(LoopConfig, ShapeConfig):
    """Settings of training from scratch; those without a default must be given.

    The settings of the last base class are listed first.
    """

    output: Path = Field(description="Folder to write the finished checkpoint to.")
    eval_share: EvalShare = 0.02
    epochs: Epochs = 1.0
    batch_size: int = Field(ge=1, default=16, description="Contexts or pairs per batch.")
    learning_rate: LearningRate = 1e-3
    schedule: Schedule = "cosine"
    warmup: Warmup = 0.02
    weight_decay: WeightDecay = 0.1
    beta2: Beta2 = 0.98

    def check(self) -> None:
        """Check that the settings can be combined.

        Raises:
            OptionError: They cannot.
        """
        if self.hidden % self.heads:
            raise OptionError(
                f"--hidden is {self.hidden}, which is not a multiple of --heads {self.heads}.",
                hint="Choose a multiple of --heads; 64 per head is usual.",
            )

    def from_base(self, base: Path, settings: type[Settings]) -> Settings:
        """The settings of the same run as fine-tuning of a checkpoint.

        Args:
            base: The checkpoint.
            settings: The class of the fine-tuning settings.
        """
        shared = type(self).model_fields.keys() & settings.model_fields.keys()
        values = self.model_dump(include=set(shared))
        return settings.model_validate({**values, "base": str(base)})


def check_lossless(config: PretrainConfig) -> None:
    """Check that the tokenizer can decode tokens to text without loss of white space.

    Raises:
        OptionError: The tokenizer is WordPiece.
    """
    if config.tokenizer_model == "wordpiece":
        raise OptionError(
            f"--tokenizer-model is 'wordpiece', which {config.architecture} cannot use: WordPiece "
            "does not keep white space.",
            hint="Choose bpe or unigram, or --architecture bert.",
        )

"""Settings of training on pairs of texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.config import RunConfig, TrainConfig
from nlplug.train.pretrain_config import PretrainConfig, check_lossless


class _PairsConfig(RunConfig):
    """The source and the targets of a row."""

    source: str = Field(
        default="",
        description="Source language or column. Default: the column source, else the first "
        "language of a row.",
    )
    target: list[str] = Field(
        default=[],
        description="Target languages or columns. Default: the column target, else all other "
        "languages of a row.",
    )
    target_token: bool | None = Field(
        default=None,
        description="Begin a source with a token for its target language, such as >>fr<<. "
        "Default: if there are several target languages.",
    )


class Seq2SeqConfig(TrainConfig, _PairsConfig):
    """Settings of a training run on pairs of texts."""


class Seq2SeqPretrainConfig(PretrainConfig, _PairsConfig):
    """Settings of training from scratch on pairs of texts."""

    architecture: Literal["marian"] = Field(
        default="marian", description="Architecture of the model."
    )
    decoder_layers: int | None = Field(
        ge=1, default=None, description="Decoder layers. Default: the same as --layers."
    )

    def check(self) -> None:
        """See `PretrainConfig.check`."""
        super().check()
        check_lossless(self)

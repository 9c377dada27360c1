"""What training on pairs of texts can be told beyond other training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.config import RunConfig, TrainConfig
from nlplug.train.pretrain_config import PretrainConfig, writes_text


class _PairsConfig(RunConfig):
    """Which texts of a row are source and target."""

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


class Seq2SeqConfig(TrainConfig, _PairsConfig):
    """Settings of a training run on pairs of texts."""


class Seq2SeqPretrainConfig(PretrainConfig, _PairsConfig):
    """Settings of a run from scratch on pairs of texts."""

    architecture: Literal["marian"] = Field(
        default="marian", description="Architecture of the model."
    )
    decoder_layers: int | None = Field(
        ge=1, default=None, description="Layers of the decoder; default: as many as the encoder's."
    )

    def check(self) -> None:
        """See `PretrainConfig.check`."""
        super().check()
        writes_text(self)

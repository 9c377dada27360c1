"""What training a sequence classifier can be told beyond other training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.config import LabelledConfig

ClassWeights = Literal["none", "balanced"]


class SequenceClassificationConfig(LabelledConfig):
    """Settings of a training run of a sequence classifier."""

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

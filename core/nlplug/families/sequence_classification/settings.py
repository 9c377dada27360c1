"""Settings of the training of sequence classifiers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nlplug.train.config import LabelledConfig

ClassWeights = Literal["none", "balanced"]


class SequenceClassificationConfig(LabelledConfig):
    """Settings of a training run of a sequence classifier."""

    soft_column: str = Field(
        default="",
        description="Column with one probability per label, such as those of a teacher model. "
        "Rows without it are trained on their label.",
    )
    multi_label: bool | None = Field(
        default=None,
        description="Whether a row may have several labels. Default: if a label is a list.",
    )
    pooling: Literal["mean", "cls", "model"] | None = Field(
        default=None,
        description="Vector of a text that the output layer reads: the mean of its tokens, its "
        "first token, or that of the classifiers of transformers (model). Default: that of the "
        "base if it is a sentence encoder, else model.",
    )
    calibrate: bool = Field(
        default=True,
        description="Scale the logits so that scores are probabilities (temperature scaling), on "
        "the rows that choose the checkpoint; only with at least 200 of them, and if this lowers "
        "the calibration error.",
    )
    class_weights: ClassWeights = Field(
        default="none", description="balanced: weight the loss by inverse class frequency."
    )

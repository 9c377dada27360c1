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
        description="Input vector of the output layer: the mean of the tokens (mean), the first "
        "token (cls), or the vector that the classifiers of transformers use (model). Default: "
        "that of the base if it is a sentence encoder, else model.",
    )
    contrast: float | None = Field(
        default=None,
        ge=0,
        json_schema_extra={"private": 0.0},
        description="Weight of a loss on pairs of rows, in addition to that of the labels: the "
        "cosine of the vectors of two rows should be 1 if they have the same label, else 0. Only "
        "for rows with one label. Default: 5 for a sentence encoder with fewer than 2,000 rows and "
        "at most 20 labels, else 0. With fewer than 200 such rows the default is this loss without "
        "that of the labels; the output layer is then fitted after the fine-tuning, as a linear "
        "probe is.",
    )
    calibrate: bool = Field(
        default=True,
        description="Scale the logits so that scores are probabilities (temperature scaling), on "
        "the rows that select the checkpoint; only with at least 200 of them, and if this lowers "
        "the calibration error.",
    )
    class_weights: ClassWeights = Field(
        default="none",
        json_schema_extra={"private": "none"},
        description="balanced: weight the loss by inverse class frequency.",
    )

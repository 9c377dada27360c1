"""Sequence classification: one label or several for a whole text."""

from __future__ import annotations

from nlplug.families.sequence_classification.model import SequenceClassificationModel
from nlplug.families.sequence_classification.options import (
    LabelScore,
    SequenceClassificationInput,
    SequenceClassificationOptions,
    Truncation,
)
from nlplug.families.sequence_classification.task import FAMILY, SequenceClassificationTask
from nlplug.families.truncation import MaxLength

__all__ = [
    "FAMILY",
    "LabelScore",
    "MaxLength",
    "SequenceClassificationInput",
    "SequenceClassificationModel",
    "SequenceClassificationOptions",
    "SequenceClassificationTask",
    "Truncation",
]

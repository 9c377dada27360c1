"""Token classification: one label per word of a text."""

from __future__ import annotations

from nlplug.families.token_classification.model import TokenClassificationModel
from nlplug.families.token_classification.options import (
    TokenClassificationInput,
    TokenClassificationOptions,
    WordLabel,
)
from nlplug.families.token_classification.task import FAMILY, TokenClassificationTask

__all__ = [
    "FAMILY",
    "TokenClassificationInput",
    "TokenClassificationModel",
    "TokenClassificationOptions",
    "TokenClassificationTask",
    "WordLabel",
]

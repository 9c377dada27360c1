"""Masked language models: they fill gaps in texts, and are bases for fine-tuning."""

from __future__ import annotations

from nlplug.families.masked_lm.model import MaskedLMModel
from nlplug.families.masked_lm.options import Filling, MaskedLMOptions
from nlplug.families.masked_lm.task import FAMILY, MaskedLMTask

__all__ = ["FAMILY", "Filling", "MaskedLMModel", "MaskedLMOptions", "MaskedLMTask"]

"""Encoders without a head: their hidden states are features of tokens and of texts."""

from __future__ import annotations

from nlplug.families.feature_extraction.model import FeatureModel
from nlplug.families.feature_extraction.options import FeatureOptions
from nlplug.families.feature_extraction.task import FAMILY, FeatureExtractionTask

__all__ = ["FAMILY", "FeatureExtractionTask", "FeatureModel", "FeatureOptions"]

"""Span extraction: the part of a text that answers a question."""

from __future__ import annotations

from nlplug.families.span_extraction.model import SpanExtractionModel
from nlplug.families.span_extraction.options import (
    Answer,
    SpanExtractionInput,
    SpanExtractionOptions,
)
from nlplug.families.span_extraction.task import FAMILY, SpanExtractionTask

__all__ = [
    "FAMILY",
    "Answer",
    "SpanExtractionInput",
    "SpanExtractionModel",
    "SpanExtractionOptions",
    "SpanExtractionTask",
]

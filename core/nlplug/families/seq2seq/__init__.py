"""Sequence-to-sequence models: translation, summarization, correction."""

from __future__ import annotations

from nlplug.families.seq2seq.model import Again, Part, Segment, Seq2SeqModel, Written
from nlplug.families.seq2seq.options import BeamOptions, Seq2SeqOptions
from nlplug.families.seq2seq.task import FAMILY, Seq2SeqTask

__all__ = [
    "FAMILY",
    "Again",
    "BeamOptions",
    "Part",
    "Segment",
    "Seq2SeqModel",
    "Seq2SeqOptions",
    "Seq2SeqTask",
    "Written",
]

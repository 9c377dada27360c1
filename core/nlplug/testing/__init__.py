"""Tiny real models for tests: written in milliseconds, run by ONNX Runtime like any other model.

Each function writes a model whose answers a test can work out by hand, and opens it.
"""

from __future__ import annotations

from nlplug.testing.encoder import tiny_encoder
from nlplug.testing.question_answerer import tiny_question_answerer
from nlplug.testing.text_classifier import tiny_text_classifier
from nlplug.testing.text_generator import tiny_text_generator
from nlplug.testing.token_classifier import tiny_token_classifier
from nlplug.testing.translator import tiny_translator
from nlplug.testing.word_filler import tiny_word_filler
from nlplug.testing.writing import SPECIAL_TOKENS

__all__ = [
    "SPECIAL_TOKENS",
    "tiny_encoder",
    "tiny_question_answerer",
    "tiny_text_classifier",
    "tiny_text_generator",
    "tiny_token_classifier",
    "tiny_translator",
    "tiny_word_filler",
]

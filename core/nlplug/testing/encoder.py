"""A tiny encoder: the vector of a token is the one of its word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import SPECIAL_TOKENS, save_lookup, write_bert

_WORDS = {"cat": (1.0, 0.0), "dog": (0.8, 0.6), "car": (0.0, 2.0)}


def tiny_encoder(
    folder: Path,
    words: Mapping[str, Sequence[float]] | None = None,
    *,
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write an encoder without a head in the Hub's layout and open it.

    Special tokens and unknown words have a vector of zeros.

    Args:
        folder: Where to write; made if missing.
        words: Word → its vector, all of the same length. None for a few English words.
        max_length: The model's window in tokens, two special tokens included.
        config: Further entries of ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = _WORDS if words is None else words
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *words))}
    hidden = max(len(vector) for vector in words.values())
    vectors = np.zeros((len(vocabulary), hidden), dtype=np.float32)
    for word, vector in words.items():
        vectors[vocabulary[word]] = vector
    save_lookup(folder / "onnx" / "model.onnx", vectors, "last_hidden_state")
    return write_bert(folder, "Model", vocabulary, max_length=max_length, config=config)

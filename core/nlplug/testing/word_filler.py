"""A tiny masked language model: each mask is predicted with the same words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import SPECIAL_TOKENS, save_lookup, write_bert

_WORDS = {"capital": 5.0, "city": 4.0, "heart": 3.0}


def tiny_word_filler(
    folder: Path,
    words: Mapping[str, float] | None = None,
    *,
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write a masked language model in the Hub's layout and open it.

    The logits of every token are the same: the weight of each word; other tokens have the weight 0.

    Args:
        folder: Where to write; made if missing.
        words: Word → its logit. None for a few English words.
        max_length: The model's window in tokens, two special tokens included.
        config: Further entries of ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = _WORDS if words is None else words
    tokens = (*SPECIAL_TOKENS, "[MASK]", *words)
    vocabulary = {word: index for index, word in enumerate(tokens)}
    weights = np.zeros((len(vocabulary), len(vocabulary)), dtype=np.float32)
    for word, weight in words.items():
        weights[:, vocabulary[word]] = weight
    save_lookup(folder / "onnx" / "model.onnx", weights, "logits")
    return write_bert(
        folder,
        "MaskedLM",
        vocabulary,
        max_length=max_length,
        config=config,
        mask_token="[MASK]",
    )

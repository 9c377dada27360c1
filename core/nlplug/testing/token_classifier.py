"""A tiny token classifier: a label per word, which the word before can change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import (
    SPECIAL_TOKENS,
    TEXT_AXES,
    TEXT_INPUTS,
    floats,
    integers,
    node,
    save_graph,
    write_bert,
)

_NAMES = {
    "anna": (0, 6, 0, 0, 0),
    "smith": (0, 0, 6, 0, 0),
    "paris": (0, 0, 0, 6, 0),
    "ro": (0, 0, 0, 5, 0),
    "##me": (0, 0, 0, 0, 4),
    "new": (0, 0, 0, 6, 0),
    "york": (0, 0, 0, 0, 6),
}


def tiny_token_classifier(
    folder: Path,
    words: Mapping[str, Sequence[float]] | None = None,
    *,
    labels: Sequence[str] = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    after: Mapping[str, Sequence[float]] | None = None,
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write a token classifier in the Hub's layout and open it.

    The logits of a token are its word's row of weights, plus what the token before it adds. Text
    is lower-cased and split by WordPiece.

    Args:
        folder: Where to write; made if missing.
        words: Word, or piece of a word such as ``##land`` → one weight per label. ``[UNK]``, which
            stands for all other words, has the first label unless it is given. None for a few
            persons and places.
        labels: Names of the labels.
        after: Word or piece → what it adds to the logits of the next token, one weight per label.
        max_length: The model's window in tokens, two special tokens included.
        config: Further entries of ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    unknown = [6.0] + [0.0] * (len(labels) - 1)
    rows = {**dict.fromkeys(SPECIAL_TOKENS, unknown), **(_NAMES if words is None else words)}
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys((*rows, *(after or {}))))}
    weights = np.zeros((2, len(vocabulary), len(labels)), dtype=np.float32)
    for table, given in zip(weights, (rows, after or {}), strict=True):
        for word, row in given.items():
            table[vocabulary[word]] = row
    _write_graph(folder / "onnx" / "model.onnx", weights[0], weights[1])
    return write_bert(
        folder,
        "TokenClassification",
        vocabulary,
        max_length=max_length,
        config=config,
        labels=labels,
        pieces=True,
        unk_token="[UNK]",
    )


def _write_graph(path: Path, weights: np.ndarray, after: np.ndarray) -> None:
    """logits = mask x (weights[token] + after[the token before])."""
    save_graph(
        path,
        [
            node("Gather", ["weights", "input_ids"], ["own"]),
            node("Gather", ["after", "input_ids"], ["added"]),
            node("Pad", ["added", "one_in_front"], ["shifted"]),
            node("Slice", ["shifted", "zero", "less_one", "middle"], ["cut"]),
            node("Add", ["own", "cut"], ["sum"]),
            node("Cast", ["attention_mask"], ["mask"], to=1),
            node("Unsqueeze", ["mask", "last"], ["mask3"]),
            node("Mul", ["sum", "mask3"], ["logits"]),
        ],
        [integers(name) for name in TEXT_INPUTS],
        [floats("logits", (*TEXT_AXES, weights.shape[1]))],
        {
            "weights": weights,
            "after": after,
            "last": [2],
            "middle": [1],
            "zero": [0],
            "less_one": [-1],
            "one_in_front": [0, 1, 0, 0, 0, 0],
        },
    )

"""A tiny text classifier: a bag of words."""

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


def tiny_text_classifier(
    folder: Path,
    words: Mapping[str, Sequence[float]] | None = None,
    *,
    labels: Sequence[str] = ("negative", "positive"),
    max_length: int = 32,
    config: Mapping[str, object] | None = None,
    output: str = "logits",
) -> Bundle:
    """Write a bag-of-words text classifier in the Hub's layout and open it.

    Its logits are the mean of the rows of weights of the text's tokens. Special tokens and
    unknown words have the weight 0.

    Args:
        folder: Where to write; made if missing.
        words: Word → one weight per label.
        labels: Names of the labels.
        max_length: The model's window in tokens, two special tokens included.
        config: Further entries of ``config.json``.
        output: Name of the graph's output.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = words or {"good": (-4.0, 4.0), "bad": (4.0, -4.0), "dull": (2.0, -2.0)}
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *words))}
    weights = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, row in words.items():
        weights[vocabulary[word]] = row
    _write_graph(folder / "onnx" / "model.onnx", weights, output)
    return write_bert(
        folder,
        "SequenceClassification",
        vocabulary,
        max_length=max_length,
        config=config,
        labels=labels,
    )


def _write_graph(path: Path, weights: np.ndarray, output: str) -> None:
    """logits = sum over tokens of mask x weights[token], divided by the number of tokens."""
    save_graph(
        path,
        [
            node("Gather", ["weights", "input_ids"], ["rows"]),
            node("Cast", ["attention_mask"], ["mask"], to=1),
            node("Unsqueeze", ["mask", "last"], ["mask3"]),
            node("Mul", ["rows", "mask3"], ["kept"]),
            node("ReduceSum", ["kept", "middle"], ["total"], keepdims=0),
            node("ReduceSum", ["mask", "middle"], ["count"], keepdims=1),
            node("Div", ["total", "count"], [output]),
        ],
        [integers(name) for name in TEXT_INPUTS],
        [floats(output, (TEXT_AXES[0], weights.shape[1]))],
        {"weights": weights, "last": [2], "middle": [1]},
    )

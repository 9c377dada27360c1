"""A tiny extractive question answerer, which reads only the context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nlplug.models.bundle import Bundle
from nlplug.testing.writing import (
    SPECIAL_TOKENS,
    TEXT_INPUTS,
    floats,
    integers,
    node,
    save_graph,
    write_bert,
)


def tiny_question_answerer(
    folder: Path,
    words: Mapping[str, tuple[float, float]] | None = None,
    *,
    max_length: int = 64,
    config: Mapping[str, object] | None = None,
) -> Bundle:
    """Write an extractive question answerer in the Hub's layout and open it.

    The start and end logits of a token are its word's two weights, whatever the question is.
    Unknown words have the weights 0.

    Args:
        folder: Where to write; made if missing.
        words: Word → (start logit, end logit); the entry ``[CLS]`` has those of "no answer".
        max_length: The model's window in tokens, three special tokens included.
        config: Further entries of ``config.json``.

    Raises:
        MissingExtra: The ``onnx`` package is not installed.
    """
    words = words or {"paris": (6.0, 6.0), "new": (5.0, 0.0), "york": (0.0, 5.0), "it": (1.0, 1.0)}
    tokens = dict.fromkeys((*SPECIAL_TOKENS, *words))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    weights = np.zeros((len(vocabulary), 2), dtype=np.float32)
    for word, row in words.items():
        weights[vocabulary[word]] = row
    _write_graph(folder / "onnx" / "model.onnx", weights)
    return write_bert(
        folder,
        "QuestionAnswering",
        vocabulary,
        max_length=max_length,
        config=config,
        cls_token="[CLS]",
    )


def _write_graph(path: Path, weights: np.ndarray) -> None:
    """start_logits and end_logits = the two columns of weights[token]."""
    names = ("start_logits", "end_logits")
    save_graph(
        path,
        [node("Gather", [f"{name}_of", "input_ids"], [name]) for name in names],
        [integers(name) for name in TEXT_INPUTS],
        [floats(name) for name in names],
        {
            f"{name}_of": np.ascontiguousarray(weights[:, column])
            for column, name in enumerate(names)
        },
    )

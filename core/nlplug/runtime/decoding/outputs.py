"""What a fast graph says of the last tokens, in memory that it writes to at every step."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.device import onnxruntime


class Outputs:
    """Logits, and the ranking that the graph makes of them.

    The graph always ranks: the first of a ranking is the greedy choice.

    Args:
        vocabulary: Logits of a row.

    Attributes:
        count: Tokens to rank, from the next `bind` on.
    """

    def __init__(self, vocabulary: int) -> None:
        self.count = 1
        self._vocabulary = vocabulary
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def logits(self) -> np.ndarray:
        """Float32 of shape (rows, vocabulary)."""
        return self._arrays["logits"]

    @property
    def next_tokens(self) -> np.ndarray:
        """The likeliest token of each row, int64 of shape (rows,)."""
        return self._arrays["top_tokens"][:, 0]

    @property
    def ranking(self) -> Ranking | None:
        """The likeliest tokens; None where ``count`` is not yet what was bound."""
        logits, tokens = self._arrays["top_logits"], self._arrays["top_tokens"]
        if tokens.shape[1] < self.count:
            return None
        return Ranking(logits, tokens, self._arrays["top_share"], logits[:, :1])

    def bind(self, binding: Any, rows: int) -> None:
        """Make room for so many rows, and have the graph write there."""
        shape = (rows, self.count)
        self._arrays = {
            "logits": np.empty((rows, self._vocabulary), np.float32),
            "top_logits": np.empty(shape, np.float32),
            "top_tokens": np.empty(shape, np.int64),
            "top_share": np.empty((rows, 1), np.float32),
        }
        make = onnxruntime().OrtValue.ortvalue_from_numpy
        binding.bind_ortvalue_input("top", make(np.array([self.count])))
        for name, values in self._arrays.items():
            binding.bind_ortvalue_output(name, make(values))

    def pick(self, rows: np.ndarray) -> None:
        """Go on with these rows, in this order; bind again before the next step."""
        self._arrays = {name: values[rows] for name, values in self._arrays.items()}

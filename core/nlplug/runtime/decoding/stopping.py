"""When a row ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nlplug.runtime.decoding.history import History

Finish = Literal["eos", "stop", "length"]
"""Why a row ended: the model's own end, a stop sequence, or no room for more."""

StopWhen = Callable[[int, int], bool]
"""From the number of a text and its new token to whether it ends there."""


@dataclass(frozen=True)
class Stopping:
    """The conditions, looked at after each token.

    Attributes:
        max_new_tokens: As many, and the row ends.
        context: Tokens of a row that the model has positions for.
        eos: Tokens that end a row.
        sequences: Tokens in a row that end it.
        stop_when: Called with the number of a text and its new token; ends it by True.
    """

    max_new_tokens: int
    context: int
    eos: tuple[int, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()
    stop_when: StopWhen | None = None

    def ended(self, tokens: np.ndarray) -> np.ndarray:
        """Which of some tokens end a row, as booleans of the same shape."""
        hits = np.zeros(tokens.shape, bool)
        for token in self.eos:
            hits |= tokens == token
        return hits

    def check(self, history: History, tokens: np.ndarray) -> list[Finish | None]:
        """For each row, why it ends with the token just appended, or None.

        Args:
            history: The tokens are its last.
            tokens: int64 of shape (rows,).
        """
        found: list[Finish | None] = [None] * len(tokens)
        if history.generated >= self.max_new_tokens:
            found = ["length"] * len(tokens)
        elif history.longest > self.context:
            # The last token needs no position: nothing is computed after it.
            found = ["length" if full else None for full in history.lengths > self.context]
        if not (self.eos or self.sequences or self.stop_when):
            return found
        for row, token in enumerate(tokens.tolist()):
            if token in self.eos:
                found[row] = "eos"
            elif self._stops(history, row, token):
                found[row] = "stop"
        return found

    def _stops(self, history: History, row: int, token: int) -> bool:
        if self.stop_when is not None and self.stop_when(int(history.slots[row]), token):
            return True
        if not self.sequences:
            return False
        new = history.new(row)
        return any(new[-len(sequence) :].tolist() == list(sequence) for sequence in self.sequences)

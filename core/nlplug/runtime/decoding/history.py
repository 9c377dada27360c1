"""The tokens of each row, and when a row ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Finish = Literal["eos", "stop", "length"]
"""Why a row ended: an end token of the model, a stop condition, or no room for more."""

StopWhen = Callable[[int, int], bool]
"""From the number of a text and its new token to whether the text ends there."""


class History:
    """Rows of token ids, prompts included, that grow together.

    Args:
        prompts: Token ids of each row.
        room: Number of new tokens to allocate memory for.
        copies: Number of adjacent rows per prompt.

    Attributes:
        prompt_lengths: int64 of shape (rows,).
        lengths: Number of tokens of each row, of the same shape.
        longest: The largest of them.
        origin: The number of the prompt that each row continues, int64 of shape (rows,).
        slots: The number of the text of each row, int64 of shape (rows,): text ``i`` of prompt
            ``n`` has the number ``n * copies + i``.
        generated: Number of new tokens so far, the same for all rows.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], room: int, copies: int = 1) -> None:
        self.prompt_lengths = np.array([len(prompt) for prompt in prompts], np.int64)
        self.lengths = self.prompt_lengths.copy()
        self.longest = int(self.lengths.max())
        self.origin = np.arange(len(prompts))
        self.slots = np.arange(len(prompts))
        self.generated = 0
        self._rows = np.arange(len(prompts))
        self._ids = np.zeros((len(prompts), self.longest + room), np.int64)
        for row, prompt in enumerate(prompts):
            self._ids[row, : len(prompt)] = prompt
        if copies > 1:
            self.select(np.repeat(self.origin, copies))
            self.slots = np.arange(len(self.origin))

    def __len__(self) -> int:
        return len(self.origin)

    def row(self, number: int) -> np.ndarray:
        """All tokens of a row."""
        return self._ids[number, : self.lengths[number]]

    def new(self, number: int) -> np.ndarray:
        """The tokens of a row after its prompt."""
        return self.row(number)[self.prompt_lengths[number] :]

    def append(self, tokens: np.ndarray) -> None:
        """Add one token to each row."""
        if self.longest == self._ids.shape[1]:
            self._ids = np.pad(self._ids, ((0, 0), (0, self._ids.shape[1])))
        self._ids[self._rows, self.lengths] = tokens
        self.lengths += 1
        self.longest += 1
        self.generated += 1

    def follow(self, parents: np.ndarray) -> None:
        """Replace the tokens of each row with those of ``parents[row]``, of the same prompt.

        All rows of a prompt have the same length.
        """
        self._ids = self._ids[parents]

    def select(self, rows: Sequence[int] | np.ndarray) -> None:
        """Continue with these rows, in this order; a row may occur several times."""
        index = np.asarray(rows)
        self._ids = self._ids[index]
        self.prompt_lengths = self.prompt_lengths[index]
        self.lengths = self.lengths[index]
        self.longest = int(self.lengths.max())
        self.origin = self.origin[index]
        self.slots = self.slots[index]
        self._rows = np.arange(len(index))


@dataclass(frozen=True)
class Stopping:
    """The conditions that end a row, checked after each token.

    Attributes:
        max_new_tokens: Maximum number of new tokens.
        context: Maximum number of positions of the model.
        eos: Tokens that end a row.
        sequences: Sequences of tokens that end a row.
        stop_when: Called with the number of a text and its new token; True ends the text.
        deadline: Value of `time.monotonic` from which each text ends with its next token.
    """

    max_new_tokens: int
    context: int
    eos: tuple[int, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()
    stop_when: StopWhen | None = None
    deadline: float | None = None

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def ended(self, tokens: np.ndarray) -> np.ndarray:
        """Which of some tokens are in ``eos``, as booleans of the same shape."""
        hits = np.zeros(tokens.shape, bool)
        for token in self.eos:
            hits |= tokens == token
        return hits

    def check(self, history: History, tokens: np.ndarray) -> list[Finish | None]:
        """For each row, why it ends with the token just appended, or None.

        Args:
            history: The rows; their last tokens are ``tokens``.
            tokens: int64 of shape (rows,).
        """
        found: list[Finish | None] = [None] * len(tokens)
        if history.generated >= self.max_new_tokens or self.late:
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

"""The tokens of each row, prompt and all, as processors and stop conditions look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class History:
    """Rows of token ids that grow together.

    Args:
        prompts: Token ids of each row.
        room: New tokens to make room for.
        copies: Texts of each prompt, side by side.

    Attributes:
        prompt_lengths: int64 of shape (rows,).
        lengths: Tokens of each row, likewise.
        longest: The most of them.
        origin: Which prompt each row continues, int64 of shape (rows,).
        slots: Which text each row is, int64 of shape (rows,): text ``i`` of prompt ``n`` has the
            number ``n * copies + i``.
        generated: New tokens so far, the same for all rows.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], room: int, copies: int = 1) -> None:
        self.prompt_lengths = np.array([len(prompt) for prompt in prompts], np.int64)
        self.lengths = self.prompt_lengths.copy()
        self.longest = int(self.lengths.max())
        self.origin = np.arange(len(prompts))
        self.slots = np.arange(len(prompts))
        self.generated = 0
        self._every = np.arange(len(prompts))
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
        """The tokens of a row that are not its prompt."""
        return self.row(number)[self.prompt_lengths[number] :]

    def append(self, tokens: np.ndarray) -> None:
        """Add a token to each row."""
        if self.longest == self._ids.shape[1]:
            self._ids = np.pad(self._ids, ((0, 0), (0, self._ids.shape[1])))
        self._ids[self._every, self.lengths] = tokens
        self.lengths += 1
        self.longest += 1
        self.generated += 1

    def select(self, rows: Sequence[int] | np.ndarray) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        index = np.asarray(rows)
        self._ids = self._ids[index]
        self.prompt_lengths = self.prompt_lengths[index]
        self.lengths = self.lengths[index]
        self.longest = int(self.lengths.max())
        self.origin = self.origin[index]
        self.slots = self.slots[index]
        self._every = np.arange(len(index))

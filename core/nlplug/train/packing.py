"""Texts end to end, cut into contexts of one length."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch.utils.data import Dataset


class PackedTokens(Dataset[dict[str, Any]]):
    """Tokens of all texts as one ring, cut into full contexts.

    Each epoch cuts it elsewhere (the same for the same seed) and sees every token once, less the
    rest that fills no context. In evaluation it is cut from its start, and the rest is an item.

    Args:
        parts: The tokens, in as many parts as there are.
        length: Tokens of a context.
        seed: Seed of the cuts; None for evaluation.
    """

    def __init__(self, parts: Iterable[np.ndarray], *, length: int, seed: int | None) -> None:
        self.tokens = np.concatenate(list(parts))
        self._length = min(length, len(self.tokens))
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Turn to the cuts of this epoch."""
        self.epoch = epoch
        chance = random.Random(f"{self._seed}/{epoch}")
        self._shift = 0 if self._seed is None else chance.randrange(self._length)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.tokens), self._length)
        return whole + (self._seed is None and rest > 0)

    def context(self, index: int, *, ahead: int = 0) -> np.ndarray:
        """The tokens of an item, and so many that come after them, int64."""
        begin = index * self._length
        end = begin + self._length
        if self._seed is None:
            end = min(end, len(self.tokens))
        places = np.arange(begin, end + ahead) + self._shift
        return np.take(self.tokens, places, mode="wrap").astype(np.int64)

    def lengths(self) -> list[int]:
        """Tokens of each item: all alike, but for a rest."""
        rest = len(self.tokens) - (len(self) - 1) * self._length
        return [self._length] * (len(self) - 1) + [min(self._length, rest)]

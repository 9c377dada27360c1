"""Concatenated texts, cut into contexts of equal length."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np

from nlplug.train.training_set import TrainingSet


class PackedTokens(TrainingSet):
    """The tokens of all texts as one circular sequence, cut into full contexts.

    Each epoch starts at another offset, which depends only on the seed, and uses every token once,
    except a rest that is shorter than a context. Evaluation starts at offset 0, and the rest is an
    item.

    Args:
        parts: Arrays of tokens, which are concatenated.
        length: Number of tokens of a context.
        seed: Random seed of the offsets; None: evaluation.
    """

    def __init__(self, parts: Iterable[np.ndarray], *, length: int, seed: int | None) -> None:
        self.tokens = np.concatenate(list(parts))
        self._length = min(length, len(self.tokens))
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the offset."""
        self.epoch = epoch
        rng = random.Random(f"{self._seed}/{epoch}")
        self._shift = 0 if self._seed is None else rng.randrange(self._length)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.tokens), self._length)
        return whole + (self._seed is None and rest > 0)

    def context(self, index: int, *, ahead: int = 0) -> np.ndarray:
        """The tokens of an item and the next ``ahead`` tokens, int64."""
        begin = index * self._length
        end = begin + self._length
        if self._seed is None:
            end = min(end, len(self.tokens))
        places = np.arange(begin, end + ahead) + self._shift
        return np.take(self.tokens, places, mode="wrap").astype(np.int64)

    def lengths(self) -> list[int]:
        """Number of tokens of each item; only the rest is shorter."""
        rest = len(self.tokens) - (len(self) - 1) * self._length
        return [self._length] * (len(self) - 1) + [min(self._length, rest)]

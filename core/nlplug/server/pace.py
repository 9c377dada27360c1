"""How long a new request takes in a queue, from how long the last batches took."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlplug.server.batch import Share

_LAST = 9


class Pace:
    """The durations of the last batches of a queue: one per batch, and one per character.

    The two are medians over the last batches (Theil-Sen estimator), so that one slow batch, such as
    the first, changes nothing. They are low rather than high: as long as all batches had about the
    same size, larger ones count as these. Not thread-safe.

    Args:
        max_batch: Largest number of inputs in a batch.
        characters: Size after which a batch takes no further input.
    """

    def __init__(self, max_batch: int, characters: int) -> None:
        self._most = max_batch
        self._characters = characters
        self._seen: deque[tuple[int, float]] = deque(maxlen=_LAST)
        self._base = self._slope = 0.0

    def add(self, size: int, seconds: float, *, whole: bool) -> None:
        """Note a batch.

        Args:
            size: Its size, the sum of `Share.size`.
            seconds: How long it took.
            whole: Whether it ended by itself; else it counts only if it took longer than expected.
        """
        if not whole and seconds <= self._of(1, size):
            return
        self._seen.append((size, seconds))
        slopes = [
            (b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(self._seen, 2) if a[0] != b[0]
        ]
        self._slope = max(0.0, median(slopes)) if slopes else 0.0
        self._base = max(0.0, median(took - self._slope * size for size, took in self._seen))

    def wait(
        self, waiting: Iterable[Share], running: Collection[tuple[int, float]], lanes: int
    ) -> float:
        """About the seconds until a request that comes now is begun.

        Args:
            waiting: The next part of each waiting request: a new request is answered before others.
            running: Size of each batch that is answered now, and the seconds since its begin.
            lanes: Number of batches that are answered at the same time.
        """
        inputs: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for share in waiting:
            inputs[share.job.kind] += len(share.inputs)
            sizes[share.job.kind] += share.size()
        batches = sum(
            math.ceil(max(count / self._most, sizes[kind] / self._characters))
            for kind, count in inputs.items()
        )
        left = sum(max(0.0, self._of(1, size) - seconds) for size, seconds in running)
        return (self._of(batches, sizes.total()) + left) / lanes

    def work(self, share: Share) -> float:
        """About the seconds to answer a part of a request."""
        return self._of(1, share.size())

    def _of(self, batches: int, size: int) -> float:
        return batches * self._base + size * self._slope

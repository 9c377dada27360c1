"""How long a new request waits in a queue, from how long the last batches took."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from nlplug.runtime.batching import length

if TYPE_CHECKING:
    from nlplug.server.batch import Job

_LAST = 9


class Pace:
    """The durations of the last batches of a queue; not thread-safe.

    The estimate is low rather than high: after batches of few inputs, those of the waiting requests
    are larger. A queue that was idle is therefore never refused for batches that nobody measured.

    Args:
        max_batch: Largest number of inputs in a batch.
        characters: Number of characters after which a batch takes no further input.
    """

    def __init__(self, max_batch: int, characters: int) -> None:
        self._most = max_batch
        self._characters = characters
        self._seconds: deque[float] = deque(maxlen=_LAST)

    def add(self, seconds: float, *, whole: bool) -> None:
        """Note how long a batch took; one that was stopped counts only if it took long."""
        if whole or seconds > self._typical:
            self._seconds.append(seconds)

    def wait(self, jobs: Iterable[Job], running: Iterable[float], lanes: int) -> float:
        """About the seconds until a request that comes now is begun.

        Args:
            jobs: The waiting requests. Of one with more than a batch the next part counts: a new
                request is answered before the others.
            running: For each batch that is answered now, the seconds since its begin.
            lanes: Number of batches that are answered at the same time.
        """
        inputs: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for job in jobs:
            share = job.next(self._most, self._characters)
            inputs[job.kind] += len(share.inputs)
            characters[job.kind] += sum(map(length, share.inputs))
        batches = sum(
            math.ceil(max(count / self._most, characters[kind] / self._characters))
            for kind, count in inputs.items()
        )
        left = sum(max(0.0, self._typical - seconds) for seconds in running)
        return (batches * self._typical + left) / lanes

    @property
    def _typical(self) -> float:
        return median(self._seconds) if self._seconds else 0.0

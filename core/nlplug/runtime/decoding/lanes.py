"""Several decodings side by side as one, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import fields
from functools import partial
from typing import TypeVar

import numpy as np

from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.ranking import Ranking, as_ranked
from nlplug.runtime.shared import WorkerPool

_Made = TypeVar("_Made")


class Lanes:
    """A `Decoding` of others, whose rows stand one after another.

    Args:
        starts: Make the decodings; each gets prompts of its own.
        pool: Threads, one less than decodings; the caller's is the first.
    """

    def __init__(self, starts: Sequence[Callable[[], Decoding]], pool: WorkerPool) -> None:
        self._pool = pool
        self._lanes = _together(pool, starts)

    @property
    def lanes(self) -> tuple[Decoding, ...]:
        """The decodings that still have rows."""
        return tuple(self._lanes)

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return sum(lane.rows for lane in self._lanes)

    @property
    def lengths(self) -> np.ndarray:
        """See `Decoding.lengths`."""
        return np.concatenate([lane.lengths for lane in self._lanes])

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        return np.concatenate([lane.logits for lane in self._lanes])

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        return np.concatenate([lane.next_tokens for lane in self._lanes])

    @property
    def ranking(self) -> Ranking | None:
        """See `Ranked`."""
        made = [ranked.ranking for ranked in map(as_ranked, self._lanes) if ranked is not None]
        rankings = [ranking for ranking in made if ranking is not None]
        if len(rankings) < len(self._lanes):
            return None
        return Ranking(
            *(
                np.concatenate([getattr(ranking, field.name) for ranking in rankings])
                for field in fields(Ranking)
            )
        )

    def rank(self, count: int) -> None:
        """See `Ranked`."""
        for ranked in map(as_ranked, self._lanes):
            if ranked is not None:
                ranked.rank(count)

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        calls, first = [], 0
        for lane in self._lanes:
            end = first + lane.rows
            calls.append(partial(lane.step, tokens[first:end]))
            first = end
        _together(self._pool, calls)

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`; a lane without rows ends."""
        kept, order, lanes = np.asarray(rows), [], []
        borders = self._borders()
        for lane, first, end in zip(self._lanes, borders, borders[1:], strict=False):
            own = kept[(kept >= first) & (kept < end)] - first
            if len(own):
                order.append(lane.keep(own) + first if len(own) < lane.rows else own + first)
                lanes.append(lane)
        self._lanes = lanes
        return np.concatenate(order)

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`; a row follows one of the same prompt, hence of its own lane."""
        borders = self._borders()
        parts = np.split(parents, borders[1:-1])
        for lane, part, first in zip(self._lanes, parts, borders, strict=False):
            lane.follow(part - first)

    def _borders(self) -> np.ndarray:
        return np.cumsum([0, *(lane.rows for lane in self._lanes)])


def _together(pool: WorkerPool, calls: Sequence[Callable[[], _Made]]) -> list[_Made]:
    """Call all at once, the first in this thread; the first error is raised once all have ended."""
    others = [pool.submit(call) for call in calls[1:]]
    try:
        first = calls[0]()
    finally:
        wait(others)
    return [first, *(other.result() for other in others)]

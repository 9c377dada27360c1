"""The threads that decode: one, all of them on the same rows, or each with rows of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.graph_session import GraphSession
from nlplug.runtime.decoding.ranking import Ranking
from nlplug.runtime.session import build_session, session_options, thread_count
from nlplug.runtime.shared import WorkerPool

_SMALL_FILE = 32_000_000

_Result = TypeVar("_Result")


def open_session(path: Path, threads: int | None) -> GraphSession:
    """A session on the CPU, configured for decoding.

    Args:
        path: The ``.onnx`` file.
        threads: Threads within a step; None for the number of CPUs that the process may use.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        BundleError: The file is not a graph that ONNX Runtime can load.
        OptionError: ``threads`` is below 1.
    """
    options = session_options(thread_count(threads))
    # Shapes change with every step, so a memory pattern would never be used again.
    options.enable_mem_pattern = False
    return GraphSession(build_session(path, options), path)


class Sessions:
    """The sessions of one decoder graph, one per number of threads, opened when first needed.

    Threads that share a node wait for each other at its end, several hundred times per step. For
    few rows of a small model one thread is faster. For many rows, threads with rows of their own
    are faster. In between, all threads work on the same rows.

    Args:
        path: The ``.onnx`` file.
        threads: Number of threads; None for the number of CPUs that the process may use.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        BundleError: The file is not a graph that ONNX Runtime can load.
        OptionError: ``threads`` is below 1.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: dict[int, GraphSession] = {}
        self.threads = thread_count(threads)
        self._pool = WorkerPool(max(1, self.threads - 1), "nlplug-decoding")
        # The session that a single row is most likely to use.
        small = not path.is_file() or path.stat().st_size <= _SMALL_FILE
        self._first = min(1, self.threads) if small else self.threads
        self._one_thread = self._rows_per_thread = 0

    @property
    def opened(self) -> tuple[int, ...]:
        """The numbers of threads of the open sessions."""
        return tuple(self._opened)

    @property
    def first(self) -> GraphSession:
        """The session that a single row is most likely to use."""
        return self.open(self._first)

    def metadata(self) -> dict[str, str]:
        """The metadata of the graph."""
        found: dict[str, str] = self.first.get_modelmeta().custom_metadata_map
        return found

    def plan(self, one_thread: int, rows_per_thread: int) -> None:
        """Set what `start` decides by; see ``one_thread`` and ``lane_rows`` of `DecoderSpec`."""
        self._one_thread, self._rows_per_thread = one_thread, rows_per_thread
        if not one_thread and not rows_per_thread and self._first != self.threads:
            self._opened.clear()

    def start(
        self,
        prompts: Sequence[Sequence[int]],
        copies: int,
        start: Callable[[Any, Sequence[Sequence[int]]], Decoding],
    ) -> Decoding:
        """Start a decoding with the threads that suit its number of rows.

        Args:
            prompts: Token ids.
            copies: Number of rows per prompt.
            start: From a session and some of the prompts to their decoding.
        """
        rows = len(prompts) * copies
        most = rows // self._rows_per_thread if self._rows_per_thread else 1
        parts = min(self.threads, len(prompts), most)
        if parts < 2:
            return start(self.open(1 if rows <= self._one_thread else self.threads), prompts)
        session = self.open(1)
        borders = [len(prompts) * part // parts for part in range(parts + 1)]
        return ParallelDecoding(
            [partial(start, session, prompts[first:end]) for first, end in pairwise(borders)],
            self._pool,
        )

    def open(self, threads: int) -> GraphSession:
        """The session with this number of threads."""
        with self._lock:
            if threads not in self._opened:
                self._opened[threads] = open_session(self.path, threads)
            return self._opened[threads]


class ParallelDecoding:
    """A `Decoding` whose rows are split over several decodings, each run by its own thread.

    Args:
        starts: Make the decodings, each from its own prompts.
        pool: One thread less than there are decodings; the caller's thread runs the first.
    """

    def __init__(self, starts: Sequence[Callable[[], Decoding]], pool: WorkerPool) -> None:
        self._pool = pool
        self._parts = _run_all(pool, starts)

    @property
    def parts(self) -> tuple[Decoding, ...]:
        """The decodings that still have rows."""
        return tuple(self._parts)

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return sum(part.rows for part in self._parts)

    @property
    def lengths(self) -> np.ndarray:
        """See `Decoding.lengths`."""
        return np.concatenate([part.lengths for part in self._parts])

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        return np.concatenate([part.logits for part in self._parts])

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        return np.concatenate([part.next_tokens for part in self._parts])

    @property
    def sound(self) -> np.ndarray:
        """See `Decoding.sound`."""
        return np.concatenate([part.sound for part in self._parts])

    @property
    def ranking(self) -> Ranking | None:
        """See `Decoding.ranking`."""
        made = [ranking for part in self._parts if (ranking := part.ranking) is not None]
        if len(made) < len(self._parts):
            return None
        return Ranking(
            np.concatenate([ranking.logits for ranking in made]),
            np.concatenate([ranking.tokens for ranking in made]),
            np.concatenate([ranking.shares for ranking in made]),
            np.concatenate([ranking.peaks for ranking in made]),
        )

    def rank(self, count: int) -> bool:
        """See `Decoding.rank`."""
        return all([part.rank(count) for part in self._parts])

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`."""
        split = np.split(tokens, self._borders()[1:-1])
        pairs = zip(self._parts, split, strict=True)
        _run_all(self._pool, [partial(part.step, own) for part, own in pairs])

    def close(self) -> None:
        """See `Decoding.close`."""

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`; a part without rows is removed."""
        kept, order, parts = np.asarray(rows), [], []
        for part, (first, end) in zip(self._parts, pairwise(self._borders()), strict=True):
            own = kept[(kept >= first) & (kept < end)] - first
            if len(own):
                order.append(part.keep(own) + first if len(own) < part.rows else own + first)
                parts.append(part)
        self._parts = parts
        return np.concatenate(order)

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`; parents have the same prompt, so they are in the same part."""
        borders = self._borders()
        split = np.split(parents, borders[1:-1])
        for part, own, first in zip(self._parts, split, borders[:-1], strict=True):
            part.follow(own - first)

    def _borders(self) -> np.ndarray:
        return np.cumsum([0, *(part.rows for part in self._parts)])


def _run_all(pool: WorkerPool, calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Run all calls at the same time, the first in this thread.

    If any of them fails, the first error is raised after all have ended.
    """
    others = [pool.submit(call) for call in calls[1:]]
    try:
        first = calls[0]()
    finally:
        wait(others)
    return [first, *(other.result() for other in others)]

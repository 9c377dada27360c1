"""How many threads decode: one, all of them together, or each with rows of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.decoding.decoder import Decoding, open_session
from nlplug.runtime.decoding.lanes import Lanes
from nlplug.runtime.shared import WorkerPool

_SMALL = 32_000_000


class Sessions:
    """The sessions of a decoder's graph, each opened when it is first needed.

    Threads that share a node wait for each other at its end, some hundred times a step. With few
    rows of a small model a single thread is quicker; with many, threads that have rows of their
    own; and what lies between is for all threads together.

    Args:
        path: The ``.onnx`` file.
        threads: Threads to use; None for the CPUs that the process may use.

    Raises:
        MissingExtra: No ONNX Runtime is installed.
        BundleError: The file is no graph that ONNX Runtime can load.
        OptionError: ``threads`` is below 1.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: dict[int, Any] = {}
        self.threads = threads if threads is not None else usable_cpus()
        self._pool = WorkerPool(max(1, self.threads - 1), "nlplug-lane")
        # Most likely the one that a single row wants.
        small = not path.is_file() or path.stat().st_size <= _SMALL
        self._first = min(1, self.threads) if small else self.threads
        self._one_thread = self._lane_rows = 0

    @property
    def opened(self) -> tuple[int, ...]:
        """The numbers of threads of the sessions that are open."""
        return tuple(self._opened)

    def metadata(self) -> dict[str, str]:
        """What the graph says of itself."""
        found: dict[str, str] = self.open(self._first).get_modelmeta().custom_metadata_map
        return found

    def plan(self, one_thread: int, lane_rows: int) -> None:
        """Say what the graph is best run with; see `DecoderSpec`."""
        self._one_thread, self._lane_rows = one_thread, lane_rows
        if not one_thread and not lane_rows and self._first != self.threads:
            self._opened.clear()

    def start(
        self,
        prompts: Sequence[Sequence[int]],
        copies: int,
        start: Callable[[Any, Sequence[Sequence[int]]], Decoding],
    ) -> Decoding:
        """Start a decoding in the way that suits the number of its rows.

        Args:
            prompts: Token ids.
            copies: Rows of each.
            start: From a session and some of the prompts to their decoding.
        """
        rows = len(prompts) * copies
        most = rows // self._lane_rows if self._lane_rows else 1
        lanes = min(self.threads, len(prompts), most)
        if lanes < 2:
            return start(self.open(1 if rows <= self._one_thread else self.threads), prompts)
        session = self.open(1)
        borders = [len(prompts) * lane // lanes for lane in range(lanes + 1)]
        return Lanes(
            [partial(start, session, prompts[first:end]) for first, end in pairwise(borders)],
            self._pool,
        )

    def open(self, threads: int) -> Any:
        """The ``InferenceSession`` with so many threads."""
        with self._lock:
            if threads not in self._opened:
                self._opened[threads] = open_session(self._path, threads)
            return self._opened[threads]

"""One queue of batches for all pages: a page that is opened again finds its batch."""

from __future__ import annotations

import asyncio
import logging
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from nlplug.server.pool import ModelPool

_AT_ONCE = 2
WAITING = 20
"""Largest number of batches that wait while others are processed."""
_KEPT = 20
_KEPT_SECONDS = 3600.0
_ALONE_SECONDS = 600.0
_LOOK_SECONDS = 0.2


_log = logging.getLogger("nlplug.webui")


class BatchRun:
    """A batch that runs or has ended.

    Attributes:
        id: Its name; only the page that started it knows it.
        shown: What its page shows now.
        ended: Whether `shown` is final.
        stopping: Whether somebody asked for its end.
    """

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(16)
        self.shown: Any = None
        self.ended = False
        self.stopping = False
        self._folder = tempfile.TemporaryDirectory(prefix="nlplug-batch-")
        self._watched = time.monotonic()

    @property
    def folder(self) -> Path:
        """The folder of its files, which are there as long as the run is known."""
        return Path(self._folder.name)

    @property
    def over(self) -> bool:
        """Whether it shall end: it was stopped, or no page has looked at it for ten minutes."""
        return self.stopping or self.unwatched > _ALONE_SECONDS

    @property
    def unwatched(self) -> float:
        """Seconds since a page looked at it."""
        return time.monotonic() - self._watched

    async def watch(self) -> AsyncIterator[Any]:
        """What the page shows, at each change and until the end; no thread waits for it."""
        seen = None
        while True:
            self._watched = time.monotonic()
            ended, shown = self.ended, self.shown
            if shown is not None and shown is not seen:
                seen = shown
                yield shown
            if ended:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def forget(self) -> None:
        """Delete its files."""
        self._folder.cleanup()


Work = Callable[[BatchRun], Iterator[Any]]


class BatchRuns:
    """The batches of all pages: at most two are processed, and 20 wait. Thread-safe.

    The files of a run are kept for an hour after somebody looked at it, and those of the last 20.
    """

    def __init__(self) -> None:
        self._runs: dict[str, BatchRun] = {}
        self._queue: deque[tuple[BatchRun, Work]] = deque()
        self._threads = 0
        self._lock = threading.Lock()

    def start(self, work: Work, waiting: Any, full: Any) -> BatchRun:
        """Start a batch.

        Args:
            work: Yields what the page shows; it looks at `BatchRun.over`.
            waiting: What the page shows while two other batches are processed.
            full: What it shows if too many wait; the batch has ended then.
        """
        run = BatchRun()
        with self._lock:
            self._tidy()
            self._runs[run.id] = run
            if self._threads < _AT_ONCE:
                self._threads += 1
                self._queue.append((run, work))
                threading.Thread(target=self._process, name="batch", daemon=True).start()
            elif len(self._queue) < WAITING:
                run.shown = waiting
                self._queue.append((run, work))
            else:
                run.shown = full
                run.ended = True
        return run

    def find(self, id: str) -> BatchRun | None:
        """A run by its name; None if it is not known any more."""
        return self._runs.get(id)

    def _process(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                run, work = self._queue.popleft()
            try:
                for shown in work(run):
                    run.shown = shown
            except Exception:
                _log.exception("A batch ended with an error.")
            finally:
                run.ended = True

    def _tidy(self) -> None:
        for run, _ in [entry for entry in self._queue if entry[0].over]:
            run.ended = True
        self._queue = deque(entry for entry in self._queue if not entry[0].ended)
        ended = [run for run in self._runs.values() if run.ended]
        for place, run in enumerate(reversed(ended)):
            if place >= _KEPT or run.unwatched > _KEPT_SECONDS:
                del self._runs[run.id]
                run.forget()


_QUEUES: WeakKeyDictionary[ModelPool, BatchRuns] = WeakKeyDictionary()


def runs_of(pool: ModelPool) -> BatchRuns:
    """The queue of a server, which all its pages share as they share its models."""
    return _QUEUES.setdefault(pool, BatchRuns())

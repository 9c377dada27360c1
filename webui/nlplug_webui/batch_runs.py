"""One queue of batches for all pages: a page that is opened again finds its batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from nlplug.server.pool import ModelPool
from nlplug.settings import load_settings
from nlplug_webui.batch_store import BatchResult, BatchStore, new_id

_AT_ONCE = 2
WAITING = 20
"""Largest number of batches that wait while others are processed."""
_KEPT = 20
_KEPT_SECONDS = 3600.0
_ALONE_SECONDS = 600.0
_LOOK_SECONDS = 0.2
_CLOSE_SECONDS = 5.0


_log = logging.getLogger("nlplug.webui")


class BatchRun:
    """A batch that runs or has ended.

    Attributes:
        id: Its name; only the page that started it knows it.
        shown: What its page shows now.
        ended: Whether `shown` is final.
        stopping: Whether somebody asked for its end.
    """

    def __init__(self, id: str, store: BatchStore) -> None:
        self.id = id
        self.shown: BatchResult | None = None
        self.ended = False
        self.stopping = False
        self._store = store
        self._watched = time.monotonic()

    def begin(self) -> Path:
        """Create the folder of its files.

        Raises:
            OSError: It cannot be created.
        """
        self._store.begin(self.id)
        return self._store.folder(self.id)

    def keep(self, result: BatchResult) -> BatchResult:
        """Store a result with files, so that it is found later, also by another server.

        Raises:
            OSError: It cannot be written.
        """
        kept = replace(result, ended=time.time())
        self._store.keep(self.id, kept)
        return kept

    @property
    def over(self) -> bool:
        """Whether it shall end: it was stopped, or no page has looked at it for ten minutes."""
        return self.stopping or self.unwatched > _ALONE_SECONDS

    @property
    def unwatched(self) -> float:
        """Seconds since a page looked at it."""
        return time.monotonic() - self._watched

    async def watch(self) -> AsyncIterator[BatchResult]:
        """What the page shows, at each change and at the end; no thread waits for it."""
        seen = None
        while True:
            self._watched = time.monotonic()
            ended, shown = self.ended, self.shown
            if shown is not None and (ended or shown is not seen):
                seen = shown
                yield shown
            if ended:
                return
            await asyncio.sleep(_LOOK_SECONDS)


Work = Callable[[BatchRun], Iterator[BatchResult]]


class BatchRuns:
    """The batches of all pages: at most two are processed, and 20 wait. Thread-safe.

    Args:
        store: Keeps what they leave.
    """

    def __init__(self, store: BatchStore) -> None:
        self.store = store
        self._runs: dict[str, BatchRun] = {}
        self._queue: deque[tuple[BatchRun, Work]] = deque()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, work: Work, waiting: BatchResult, full: BatchResult) -> BatchRun:
        """Start a batch.

        Args:
            work: Yields what the page shows; it looks at `BatchRun.over`. What it does not
                `BatchRun.keep` is deleted at its end.
            waiting: What the page shows while two other batches are processed.
            full: What it shows if too many wait; the batch has ended then.
        """
        run = BatchRun(new_id(), self.store)
        with self._lock:
            self._tidy()
            self._runs[run.id] = run
            if len(self._threads) < _AT_ONCE:
                self._queue.append((run, work))
                thread = threading.Thread(target=self._process, name="batch", daemon=True)
                self._threads.add(thread)
                thread.start()
            elif len(self._queue) < WAITING:
                run.shown = waiting
                self._queue.append((run, work))
            else:
                run.shown = full
                run.ended = True
        return run

    def find(self, id: str) -> BatchRun | None:
        """A batch by its name; None if it is not known any more or was deleted."""
        run = self._runs.get(id)
        if run is not None and not (run.ended and run.shown and run.shown.files):
            return run
        stored = self.store.find(id)
        if stored is None:
            return None
        found = BatchRun(id, self.store)
        found.shown, found.ended = stored, True
        return found

    def close(self) -> None:
        """End all batches and keep what is done, as far as that takes only seconds."""
        until = time.monotonic() + _CLOSE_SECONDS
        with self._lock:
            threads = list(self._threads)
            self._queue.clear()
            for run in self._runs.values():
                run.stopping = True
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _process(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return
                run, work = self._queue.popleft()
            try:
                for shown in work(run):
                    run.shown = shown
            except Exception:
                _log.exception("A batch ended with an error.")
            finally:
                if self.store.find(run.id, opened=False) is None:
                    self.store.delete(run.id)
                run.ended = True

    def _tidy(self) -> None:
        for run, _ in [entry for entry in self._queue if entry[0].over]:
            run.ended = True
        self._queue = deque(entry for entry in self._queue if not entry[0].ended)
        ended = [run for run in self._runs.values() if run.ended]
        for place, run in enumerate(reversed(ended)):
            if place >= _KEPT or run.unwatched > _KEPT_SECONDS:
                del self._runs[run.id]
        with suppress(OSError):
            self.store.tidy({run.id for run in self._runs.values() if not run.ended})


_QUEUES: WeakKeyDictionary[ModelPool, BatchRuns] = WeakKeyDictionary()


def runs_of(pool: ModelPool) -> BatchRuns:
    """The queue of a server, which all its pages share as they share its models."""
    found = _QUEUES.get(pool)
    if found is None:
        found = BatchRuns(BatchStore(load_settings().cache_dir / "batches"))
        _QUEUES[pool] = found
    return found

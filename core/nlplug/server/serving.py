"""The models of a running server: each with its queues, all ended together."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.pipelines import Pipeline
from nlplug.server.batching import GRACE, LAST_WAIT, Batcher
from nlplug.server.limits import Limits
from nlplug.server.metrics import Metrics
from nlplug.server.streaming import Stream, Streams

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost
    from nlplug.server.catalog import Catalog, Served
    from nlplug.server.pool import ModelPool
    from nlplug.task import TaskInput

_log = logging.getLogger("nlplug.server")

LONG = 4000
"""Characters from which an input is long. It is cut into windows that take a while, so that long
inputs have a queue and a thread of their own, and short ones never wait for them."""

_Key = tuple[str, str]


class Serving:
    """Gives each served model its queues; plugins and UIs find it at ``app.state.nlplug``.

    A model is one task with one bundle: tasks that share a bundle have queues of their own.

    Args:
        host: The installed plugins.
        catalog: What is served.
        limits: What one client may ask.
        pool: The models in memory, which pages beside the server may share.
        preload: Names to load at start; True for all that are served.
        protected: Whether an API key is asked for.

    Attributes:
        stuck: After `close`, the models that did not come back in time.
    """

    def __init__(
        self,
        host: PluginHost,
        catalog: Catalog,
        limits: Limits,
        *,
        pool: ModelPool,
        preload: bool | Collection[str] = False,
        protected: bool = False,
    ) -> None:
        self.host = host
        self.catalog = catalog
        self.limits = limits
        self.pool = pool
        self.protected = protected
        self.metrics = Metrics()
        self.stuck: list[str] = []
        self._wanted = [
            served for served in catalog if preload is True or (preload and served.name in preload)
        ]
        self._batchers: dict[_Key, Batcher] = {}
        self._long: dict[_Key, Batcher] = {}
        self._streams: dict[_Key, Streams] = {}
        self._lock = Lock()

    @property
    def missing(self) -> list[str]:
        """Names of models that were to be loaded at start and have no worker that answers."""
        return [served.name for served in self._wanted if not self.loaded(served)]

    def loaded(self, served: Served) -> bool:
        """Whether the model of ``served`` is in memory and answers."""
        batcher = self._batchers.get(_key(served))
        return batcher is not None and batcher.loaded

    def submit(
        self, served: Served, inputs: Sequence[Any], options: Mapping[str, Any]
    ) -> Future[list[Any]]:
        """Queue checked inputs; the future has one answer for each input.

        Raises:
            Overloaded: The model's queue is full.
        """
        long = any(_length(item) > LONG for item in inputs)
        batchers = self._long if long else self._batchers
        return self._batcher(served, batchers).submit(inputs, options)

    def stream(self, served: Served, item: Any, options: dict[str, Any]) -> Stream:
        """Begin the answer to one checked input, to be read piece by piece in this event loop.

        Raises:
            Overloaded: Too many wait already.
        """
        batcher = self._batcher(served, self._batchers)
        key = _key(served)
        with self._lock:
            if key not in self._streams:
                self._streams[key] = Streams(
                    served.key,
                    batcher.load,
                    task=served.task.name,
                    max_streams=self.limits.max_streams,
                    max_queue=self.limits.max_queue,
                    metrics=self.metrics,
                )
            streams = self._streams[key]
        return streams.start(item, options)

    def preload(self) -> None:
        """Load what is to be loaded at start and wait for it.

        Raises:
            NlplugError: A model cannot be loaded.
        """
        for model in [self._batcher(each, self._batchers).load() for each in self._wanted]:
            model.result()

    def close(self) -> None:
        """Answer what is queued and can be soon, cut off the rest, and free all models.

        A model that does not come back within some seconds is left behind and named in `stuck`. A
        later request loads its model again.
        """
        with self._lock:
            batchers = [*self._batchers.values(), *self._long.values()]
            streams = list(self._streams.values())
            self._batchers, self._long, self._streams = {}, {}, {}
        by = monotonic() + GRACE
        ended = [(each.name, each.close(by=by + LAST_WAIT)) for each in streams]
        ended += [(each.name, each.close(by=by)) for each in batchers]
        self.stuck = sorted({name for name, done in ended if not done})
        if self.stuck:
            names = ", ".join(self.stuck)
            _log.error("Models that did not end in time are left behind: %s", names)
        else:
            self.pool.close()

    def _batcher(self, served: Served, batchers: dict[_Key, Batcher]) -> Batcher:
        key = _key(served)
        with self._lock:
            if key not in batchers:
                batchers[key] = Batcher(
                    served.key,
                    lambda: self._lease(served),
                    task=served.task.name,
                    max_batch=self.limits.max_batch,
                    max_queue=self.limits.max_queue,
                    metrics=self.metrics,
                )
                self.metrics.queue.labels(*key).set_function(lambda: self._waiting(key))
                self.metrics.loaded.labels(*key).set_function(lambda: self.loaded(served))
            return batchers[key]

    def _waiting(self, key: _Key) -> int:
        found = [batchers.get(key) for batchers in (self._batchers, self._long)]
        return sum(batcher.waiting for batcher in found if batcher is not None)

    @contextmanager
    def _lease(self, served: Served) -> Iterator[Pipeline]:
        if isinstance(served.source, Pipeline):
            yield served.source  # its owner closes it
            return
        with self.pool.lease(served.task, served.source) as lease:
            yield lease.pipeline


def _key(served: Served) -> _Key:
    return served.task.name, served.key


def _length(item: TaskInput) -> int:
    """Characters of the longest text in an input."""
    texts = (value for value in vars(item).values() if isinstance(value, str))
    return max(map(len, texts), default=0)

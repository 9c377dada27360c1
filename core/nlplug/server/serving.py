"""The models of a running server with their queues."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.by_language import ModelChoice, bundles_of
from nlplug.language_guard import LanguageGuard
from nlplug.pipelines import Pipeline
from nlplug.runtime.batching import length
from nlplug.server.batching import GRACE, LAST_WAIT, PART, Batcher
from nlplug.server.limits import Limits
from nlplug.server.metrics import Metrics
from nlplug.server.streaming import Stream, Streams
from nlplug.text.foreign import ForeignTexts
from nlplug.validation import model_defaults

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.plugins import PluginHost
    from nlplug.server.catalog import Catalog, Served
    from nlplug.server.pool import ModelPool
    from nlplug.task import TaskInput

_log = logging.getLogger("nlplug.server")

LONG = 4000
"""Number of characters from which an input is long, times how often the model reads them. Long
inputs have a separate queue and separate threads, so that short ones never wait for them. So have
lists with more characters than a batch of short ones."""
_LONG_LANES = 4
"""Number of batches with long inputs that are answered at the same time, by turns."""

_Key = tuple[str, str]


class Serving:
    """The queues of all served models; plugins and UIs find it at ``app.state.nlplug``.

    A model is one task with one bundle: tasks that share a bundle have separate queues.

    Args:
        host: The installed plugins.
        catalog: What is served.
        limits: The limits of a client.
        pool: The loaded models, which pages may share.
        preload: Names to load at start; True: all served models.
        protected: Whether clients need an API key.

    Attributes:
        stuck: After `close`: the models that did not end in time.
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
        self._guards: dict[_Key, LanguageGuard] = {}
        self._lock = Lock()

    @property
    def missing(self) -> list[str]:
        """Names of models to load at start whose worker is not ready."""
        return [served.name for served in self._wanted if not self.loaded(served)]

    def loaded(self, served: Served) -> bool:
        """Whether the model of ``served`` is in memory and ready."""
        batcher = self._batchers.get(_key(served))
        return batcher is not None and batcher.loaded

    def submit(
        self,
        served: Served,
        inputs: Sequence[Any],
        options: Mapping[str, Any],
        notices: list[str] | None = None,
    ) -> Future[list[Any]]:
        """Queue checked inputs; the future has one answer for each input.

        Args:
            served: The model.
            inputs: The inputs.
            options: The checked options.
            notices: Gets the warnings about the answers, before the future is done.

        Raises:
            Overloaded: The model's queue is full, or longer than the time limit.
        """
        passes = served.task.passes(options)
        sizes = [length(item) * passes for item in inputs]
        long = max(sizes) > LONG or sum(sizes) > PART
        batchers = self._long if long else self._batchers
        return self._batcher(served, batchers).submit(inputs, options, notices)

    def foreign(
        self, served: Served, inputs: Sequence[TaskInput], options: Mapping[str, Any]
    ) -> ForeignTexts:
        """The texts of a request in languages that the model does not know.

        Raises:
            ForeignTextError: There is one, and ``on_foreign`` is ``error``.
            ModelNotFound: There is no such model.
        """
        return self._guard(served).check_request(inputs, options)

    def check_work(
        self, served: Served, inputs: Sequence[TaskInput], options: Mapping[str, Any]
    ) -> None:
        """Refuse a request for too many new tokens, with the options that a model has by default.

        Raises:
            ModelNotFound: There is no such model.
            RequestTooLarge: See `Limits.check_options`.
        """
        own = {name: field.default for name, field in served.task.Options.model_fields.items()}
        for known in self._all_defaults(served):
            self.limits.check_options(options, len(inputs), own | known)

    def defaults(self, served: Served) -> Mapping[str, Any]:
        """The default options of a model; empty if several models answer, each with its own.

        Raises:
            ModelNotFound: There is no such model.
        """
        known = self._all_defaults(served)
        return known[0] if len(known) == 1 else {}

    def _all_defaults(self, served: Served) -> list[dict[str, Any]]:
        preset = served.source.defaults if isinstance(served.source, Pipeline) else {}
        bundles = self._guard(served).bundles
        return [model_defaults(served.task, bundle) | preset for bundle in bundles]

    def models_of(
        self, served: Served, inputs: Sequence[TaskInput], options: Mapping[str, Any]
    ) -> Counter[str]:
        """The models that answer by the language of the texts, with their numbers of inputs.

        Empty where one model answers all.
        """
        return self._guard(served).models_of(inputs, options)

    def _guard(self, served: Served) -> LanguageGuard:
        with self._lock:
            guard = self._guards.get(_key(served))
        if guard is None:
            guard = LanguageGuard(served.task, ModelChoice(served.task, self._bundles(served)))
            with self._lock:
                self._guards[_key(served)] = guard
        return guard

    def _bundles(self, served: Served) -> Sequence[Bundle]:
        if isinstance(served.source, Pipeline):
            return served.source.bundles
        return bundles_of(served.task, served.source, self.host)

    def stream(self, served: Served, item: Any, options: dict[str, Any]) -> Stream:
        """Start the answer to one checked input, which this event loop reads piece by piece.

        Raises:
            Overloaded: Too many requests are waiting.
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
        """Load the models to load at start, and wait for them.

        Raises:
            NlplugError: A model cannot be loaded.
        """
        for model in [self._batcher(each, self._batchers).load() for each in self._wanted]:
            model.result()

    def close(self) -> None:
        """Answer queued requests until a deadline, refuse the rest, and free all models.

        A model that does not return within some seconds is abandoned and named in `stuck`. A later
        request loads its model again.
        """
        with self._lock:
            batchers = [*self._batchers.values(), *self._long.values()]
            streams = list(self._streams.values())
            self._batchers, self._long, self._streams = {}, {}, {}
        by = monotonic() + GRACE
        closing: list[tuple[str, Callable[[], bool]]] = [
            *((each.name, partial(each.close, by=by + LAST_WAIT)) for each in streams),
            *((each.name, partial(each.close, by=by)) for each in batchers),
        ]
        # At the same time, because each may need some seconds.
        with ThreadPoolExecutor(max(1, len(closing))) as pool:
            ended = [(name, pool.submit(close)) for name, close in closing]
        self.stuck = sorted({name for name, done in ended if not done.result()})
        if self.stuck:
            _log.error("Models that did not end in time: %s", ", ".join(self.stuck))
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
                    lanes=_LONG_LANES if batchers is self._long else 1,
                    max_batch=self.limits.max_batch,
                    max_queue=self.limits.max_queue,
                    patience=self.limits.timeout,
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

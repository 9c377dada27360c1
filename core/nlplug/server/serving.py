"""The models of a running server: loaded once, shared by all requests, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.pipelines import Pipeline, pipeline
from nlplug.server.batching import GRACE, Batcher, Model
from nlplug.server.catalog import Source
from nlplug.server.metrics import Metrics
from nlplug.server.streaming import Stream, Streams

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost
    from nlplug.runtime.answers import Answers, TextPiece
    from nlplug.server.catalog import Catalog, Served
    from nlplug.task import Task


@dataclass(frozen=True)
class Limits:
    """What one client may ask of the server.

    Attributes:
        max_batch: Most inputs answered in one batch.
        max_queue: Most requests that may wait for one model.
        max_body: Most bytes of a request's body.
        timeout: Seconds within which a request is answered or refused; of a streamed answer, each
            of its pieces.
        max_streams: Most streamed answers of one model that are decoded side by side.
    """

    max_batch: int = 32
    max_queue: int = 128
    max_body: int = 4 * 1024 * 1024
    timeout: float = 60.0
    max_streams: int = 4


Opener = Callable[["Task", Source], Model | None]
"""Opens a model of a task, or leaves it to the server by giving None."""


class _Borrowed:
    """A pipeline that its owner closes."""

    def __init__(self, lent: Pipeline) -> None:
        self._lent = lent

    def answers(self, inputs: Sequence[Any], /, **options: Any) -> Answers:
        return self._lent.answers(inputs, **options)

    def pieces(self, item: Any, /, **options: Any) -> Generator[TextPiece, None, None]:
        return self._lent.pieces(item, **options)

    def open(self) -> None:
        self._lent.open()

    def close(self) -> None:
        pass


class Serving:
    """Gives each served model its queue; found by plugins and UIs at ``app.state.nlplug``.

    Args:
        host: The installed plugins.
        catalog: What is served.
        limits: What one client may ask.
        device: As `nlplug.pipeline` takes it.
        precision: As `nlplug.pipeline` takes it.
        threads: As `nlplug.pipeline` takes it.
        preload: Names to load at start; True for all that are served.
        opener: Asked first for every model; None for pipelines of the server's own.
    """

    def __init__(
        self,
        host: PluginHost,
        catalog: Catalog,
        limits: Limits,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        preload: bool | Collection[str] = False,
        opener: Opener | None = None,
    ) -> None:
        self.host = host
        self.catalog = catalog
        self.limits = limits
        self.metrics = Metrics()
        self._device = device
        self._precision = precision
        self._threads = threads
        self._opener = opener
        self._wanted = [
            served for served in catalog if preload is True or (preload and served.name in preload)
        ]
        self._batchers: dict[str, Batcher] = {}
        self._streams: dict[str, Streams] = {}
        self._lock = Lock()

    @property
    def ready(self) -> bool:
        """Whether all models that are loaded at start are in memory."""
        return all(self.loaded(served) for served in self._wanted)

    def loaded(self, served: Served) -> bool:
        """Whether the model of ``served`` is in memory."""
        batcher = self._batchers.get(served.key)
        return batcher is not None and batcher.loaded

    def submit(
        self, served: Served, inputs: Sequence[Any], options: dict[str, Any]
    ) -> Future[list[Any]]:
        """Queue checked inputs; the future has one answer an input.

        Raises:
            Overloaded: The model's queue is full.
        """
        return self._batcher(served).submit(inputs, options)

    def stream(self, served: Served, item: Any, options: dict[str, Any]) -> Stream:
        """Begin the answer to one checked input, to be read piece by piece in this event loop.

        Raises:
            Overloaded: Too many wait already.
        """
        batcher = self._batcher(served)
        with self._lock:
            if served.key not in self._streams:
                self._streams[served.key] = Streams(
                    served.key,
                    batcher.load,
                    max_streams=self.limits.max_streams,
                    max_queue=self.limits.max_queue,
                    metrics=self.metrics,
                )
            streams = self._streams[served.key]
        return streams.start(item, options)

    def preload(self) -> None:
        """Load what is to be loaded at start and wait for it.

        Raises:
            NlplugError: A model cannot be loaded.
        """
        for wish in [self._batcher(served).load() for served in self._wanted]:
            wish.result()

    def close(self) -> None:
        """Answer what is queued and can be soon, cut off the rest, and free all models.

        A later request loads its model again.
        """
        with self._lock:
            batchers, self._batchers = self._batchers, {}
            streams, self._streams = self._streams, {}
        for each in streams.values():
            each.close()
        by = monotonic() + GRACE
        for batcher in batchers.values():
            batcher.close(by=by)

    def _batcher(self, served: Served) -> Batcher:
        with self._lock:
            if served.key not in self._batchers:
                self._batchers[served.key] = Batcher(
                    served.key,
                    lambda: self._open(served),
                    max_batch=self.limits.max_batch,
                    max_queue=self.limits.max_queue,
                    metrics=self.metrics,
                )
            return self._batchers[served.key]

    def _open(self, served: Served) -> Model:
        if isinstance(served.source, Pipeline):
            return _Borrowed(served.source)
        if self._opener and (opened := self._opener(served.task, served.source)):
            return opened
        return pipeline(
            served.task.name,
            served.source,
            device=self._device,
            precision=self._precision,
            threads=self._threads,
            host=self.host,
        )

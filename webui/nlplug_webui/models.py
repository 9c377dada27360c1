"""The models that the pages share: loaded once, kept while used, closed when crowded out."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlplug.errors import ModelNotFound

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.models.spec import ModelSpec
    from nlplug.pipelines import Pipeline
    from nlplug.plugins import PluginHost
    from nlplug.runtime.answers import Answers, TextPiece
    from nlplug.task import Task

AUTO = "auto"


@dataclass
class _Entry:
    """One loaded model, with how many requests are using it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pipeline: Pipeline | None = None
    users: int = 0


@dataclass(frozen=True)
class Lease:
    """A pipeline for the time of one request.

    Attributes:
        pipeline: Ready to run.
        loaded_in: Seconds that loading took in this request; 0 when it was there already.
    """

    pipeline: Pipeline
    loaded_in: float


class Held:
    """A lease that lasts until it is closed, as `nlplug.server` wants its models.

    Args:
        lease: Not yet entered.
    """

    def __init__(self, lease: AbstractContextManager[Lease]) -> None:
        self._stack = ExitStack()
        self._pipeline = self._stack.enter_context(lease).pipeline

    def answers(self, inputs: Sequence[Any], /, **options: Any) -> Answers:
        """One answer an input, in order."""
        return self._pipeline.answers(inputs, **options)

    def pieces(self, item: Any, /, **options: Any) -> Generator[TextPiece, None, None]:
        """The text of one answer as it comes."""
        return self._pipeline.pieces(item, **options)

    def open(self) -> None:
        """Do now what the first answers would have to wait for."""
        self._pipeline.open()

    def close(self) -> None:
        """Give the lease back; the pages may go on using the model."""
        self._stack.close()


class ModelPool:
    """Loaded pipelines by task, model and precision.

    Args:
        host: Where tasks and packaged models come from.
        capacity: How many models stay loaded; the least recently used one goes.
        only_packaged: Refuse folders and Hub ids: for a server that strangers can reach, who must
            neither probe its disk nor fill it with downloads.
    """

    def __init__(self, host: PluginHost, *, capacity: int = 6, only_packaged: bool = False) -> None:
        self.host = host
        self.only_packaged = only_packaged
        self._capacity = capacity
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def packaged(self, task: str) -> list[ModelSpec]:
        """The models that installed packages register for a task."""
        return self.host.models(task)

    def bundle(self, task: Task, model: str | None) -> Bundle:
        """Find a model and check that it is one for the task.

        Raises:
            NlplugError: It cannot be found, fetched or used.
        """
        from nlplug.models.resolve import resolve
        from nlplug.pipelines import Pipeline

        name = self._allowed(task, model)
        if name is None:
            raise ModelNotFound(
                f"The task {task.name!r} brings no model.",
                hint="Name a folder or a Hub id.",
            )
        bundle = resolve(name, host=self.host)
        Pipeline(task, bundle).close()  # which reads what is small, and no graph
        return bundle

    @contextmanager
    def lease(self, task: Task, model: str | None = None, precision: str = AUTO) -> Iterator[Lease]:
        """A pipeline that stays open inside the ``with``.

        Raises:
            NlplugError: The model cannot be found, fetched or loaded.
        """
        name = self._allowed(task, model)
        entry = self._take((task.name, name or "", precision))
        try:
            with entry.lock:  # whoever else wants this model waits for the one load
                started = time.perf_counter()
                fresh = entry.pipeline is None
                if entry.pipeline is None:
                    entry.pipeline = self._load(task, name, precision)
                spent = time.perf_counter() - started if fresh else 0.0
            yield Lease(entry.pipeline, spent)
        finally:
            self._give(entry)

    def opened(self, task: Task, model: Any) -> Held | None:
        """A model for a server beside the pages, in memory once for both.

        Args:
            task: Its task.
            model: Its name; None is given for anything that is no packaged model's name.

        Raises:
            NlplugError: The model cannot be found or loaded.
        """
        if model not in {spec.name for spec in self.packaged(task.name)}:
            return None
        return Held(self.lease(task, model))

    def close(self) -> None:
        """Close every model."""
        with self._lock:
            entries, self._entries = list(self._entries.values()), OrderedDict()
        for entry in entries:
            if entry.users == 0:
                _close(entry)

    def _allowed(self, task: Task, model: str | None) -> str | None:
        name = (model or "").strip() or task.default_model
        if self.only_packaged and name not in {spec.name for spec in self.packaged(task.name)}:
            raise ModelNotFound(
                f"This server offers its installed models alone, and {name!r} is none of them.",
                hint="Pick one from the list.",
            )
        return name

    def _load(self, task: Task, model: str | None, precision: str) -> Pipeline:
        from nlplug.pipelines import pipeline

        return pipeline(task.name, model=model, precision=precision or AUTO, host=self.host)

    def _take(self, key: tuple[str, str, str]) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            entry.users += 1
            self._entries.move_to_end(key)
        return entry

    def _give(self, entry: _Entry) -> None:
        crowded: list[_Entry] = []
        with self._lock:
            entry.users -= 1
            for key, other in list(self._entries.items()):
                failed = other.pipeline is None
                full = len(self._entries) > self._capacity
                if other.users == 0 and (failed or full):
                    crowded.append(self._entries.pop(key))
        for other in crowded:
            _close(other)


def _close(entry: _Entry) -> None:
    if entry.pipeline is not None:
        entry.pipeline.close()
        entry.pipeline = None


def describe(bundle: Bundle) -> dict[str, Any]:
    """What the page says of a model: name, precisions, labels, licence, languages, size."""
    manifest = bundle.manifest
    files = {path for graphs in bundle.graphs.values() for path in graphs.values()}
    precisions = sorted({name for graphs in bundle.graphs.values() for name in graphs})
    return {
        "name": bundle.name,
        "description": manifest.description if manifest else "",
        "license": manifest.license if manifest else "",
        "languages": list(manifest.languages) if manifest else [],
        "labels": bundle.labels,
        "max_length": bundle.max_length,
        "precisions": precisions,
        "size": sum(path.stat().st_size for path in files if path.is_file()),
        "path": str(bundle.path),
    }

"""The pool of loaded models, shared by the server and the pages."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.by_language import bundles_of
from nlplug.errors import ModelNotFound, NlplugError
from nlplug.models.bundle import Bundle
from nlplug.models.inventory import inventory
from nlplug.pipelines import Pipeline, pipeline
from nlplug.server.containment import contained
from nlplug.settings import load_settings
from nlplug.validation import no_model

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.plugins import PluginHost
    from nlplug.task import Task

AUTO = "auto"
"""A model, precision or device that is left open."""

_Key = tuple[str, str, str]


@dataclass
class _Entry:
    """One loaded model, and the number of requests that use it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    pipeline: Pipeline | None = None
    users: int = 0

    def close(self) -> None:
        if self.pipeline is not None:
            self.pipeline.close()
            self.pipeline = None


@dataclass(frozen=True)
class Lease:
    """A pipeline that stays loaded until the lease ends.

    Attributes:
        pipeline: The pipeline.
        loaded_in: Time to load the model for this lease, in seconds; 0 if it was in memory.
    """

    pipeline: Pipeline
    loaded_in: float


class ModelPool:
    """Loaded pipelines by task, model and precision. All methods are thread-safe.

    The task is part of the key, because two tasks with the same model answer differently.

    Args:
        host: The plugins, with their tasks and packaged models.
        capacity: Number of models that stay loaded. The least recently used model without a lease
            is closed first; leased models are never closed.
        only_packaged: Refuse folders and Hub ids, for servers that others can reach: they must not
            read the disk of this machine or fill it with downloads.
        device: See `nlplug.pipeline`.
        precision: See `nlplug.pipeline`; used if a lease does not set one.
        threads: See `nlplug.pipeline`.
        folders: Returns the folders of further models of a task on this machine, such as those of
            a workspace, by the name of the task. None: there are none.
    """

    def __init__(
        self,
        host: PluginHost,
        *,
        capacity: int = 6,
        only_packaged: bool = False,
        device: str = AUTO,
        precision: str = AUTO,
        threads: int | None = None,
        folders: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        self.host = host
        self.only_packaged = only_packaged
        self._capacity = capacity
        self._device = device
        self._precision = precision
        self._threads = threads
        self._folders = folders
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def packaged(self, task: str) -> list[ModelSpec]:
        """The models that installed packages register for a task."""
        return self.host.models(task)

    def folders(self, task: str) -> list[str]:
        """The folders of further models of a task; none if only installed models are offered."""
        return [] if self.only_packaged or self._folders is None else list(self._folders(task))

    def local(self, task: Task) -> list[str]:
        """The models of a task that are on this machine: those that packages embed, and unless
        only installed models are offered those in the cache and in `folders`."""
        if self.only_packaged:
            return [spec.name for spec in self.packaged(task.name) if spec.path is not None]
        found = [
            entry.name
            for entry in inventory(self.host, load_settings())
            if entry.where != "hub"
            and entry.error is None
            and entry.task in (task.name, task.hub_task)
        ]
        return found + self.folders(task.name)

    def bundle(self, task: Task, model: str | None) -> Bundle:
        """Find a model and check that it fits the task; for ``auto`` the first one.

        Raises:
            NlplugError: The model cannot be found, downloaded or used.
        """
        source = self._source(task, model)
        if source is None:
            raise ModelNotFound(
                f"The task {task.name!r} has no model of its own.",
                hint="Give a folder or a Hub id.",
            )
        bundle = bundles_of(task, source, self.host)[0]
        Pipeline(task, bundle).close()  # reads the small files, not the graph
        return bundle

    def has_languages(self, task: Task) -> bool:
        """Whether ``auto`` chooses from several models of a task, by the language of a text."""
        if sum(spec.path is not None for spec in self.packaged(task.name)) < 2:
            return False
        try:
            return len(bundles_of(task, AUTO, self.host)) > 1
        except NlplugError:  # the card of the model shows it
            return False

    @contextmanager
    def lease(
        self, task: Task, model: str | Path | Bundle | None = None, precision: str = AUTO
    ) -> Iterator[Lease]:
        """A pipeline that stays open inside the ``with``.

        Args:
            task: The task.
            model: A name, folder, Hub id or bundle; None: the default model of the task.
            precision: ``auto``: the precision of the pool.

        Raises:
            NlplugError: The model cannot be found, downloaded or loaded.
            RuntimeError: The model raised what would end a thread; see `contained`.
        """
        source = self._source(task, model)
        chosen = self._precision if precision in ("", AUTO) else precision
        name = str(source.path if isinstance(source, Bundle) else source or "")
        entry = self._take((task.name, name, chosen))
        try:
            with contained(GeneratorExit):
                yield self._opened(entry, task, source, chosen)
        finally:
            self._give(entry)

    def _opened(
        self, entry: _Entry, task: Task, source: str | Path | Bundle | None, precision: str
    ) -> Lease:
        with entry.lock:  # other leases of this model wait until it is loaded
            started = time.perf_counter()
            fresh = entry.pipeline is None
            if entry.pipeline is None:
                entry.pipeline = pipeline(
                    task.name,
                    source,
                    precision=precision,
                    device=self._device,
                    threads=self._threads,
                    host=self.host,
                )
            spent = time.perf_counter() - started if fresh else 0.0
        return Lease(entry.pipeline, spent)

    def close(self) -> None:
        """Close all models without a lease."""
        with self._lock:
            unused = [self._entries.pop(key) for key, e in [*self._entries.items()] if not e.users]
        for entry in unused:
            entry.close()

    def _source(self, task: Task, model: str | Path | Bundle | None) -> str | Path | Bundle | None:
        if isinstance(model, Path | Bundle):
            return model
        name = (model or "").strip() or task.default_model
        if name is None:
            raise no_model(task)
        if name == AUTO:
            return name
        if self.only_packaged and name not in {spec.name for spec in self.packaged(task.name)}:
            raise ModelNotFound(
                f"This server offers only its installed models, and {name!r} is not one of them.",
                hint="Choose one from the list.",
            )
        return name

    def _take(self, key: _Key) -> _Entry:
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
            other.close()

"""The served names. A name in a URL is only looked up here and never opened as a path."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.by_language import AUTO
from nlplug.errors import ModelNotFound, UnknownTask
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.validation import no_model

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.plugins import PluginHost
    from nlplug.task import Task

Source = str | Path | Bundle | Pipeline
"""Source of a served name: a text is the name of a task or packaged model, a folder or a Hub id; a
`Path` is always a folder."""


_SHOWN = 100
"""Characters of an unknown name that errors show."""


@dataclass(frozen=True)
class Served:
    """One served name under ``/models/``.

    ``TASK-auto`` stands for the installed models of a task, where there are several: the language
    of a text chooses one.

    Attributes:
        name: The name in the URL.
        task: The task.
        source: The model to load.
        key: Names with the same key share one loaded model.
        spec: The record of a packaged model.
    """

    name: str
    task: Task
    source: Source
    key: str
    spec: ModelSpec | None = None


class Catalog:
    """The served names, fixed at start.

    Args:
        host: The installed plugins.
        models: Name → source of models named at start.
        task: Task of the models that do not state it.
        default: The name for ``POST /``; None: the first model named at start, else the only
            installed task.
        only: Serve nothing but ``models``.

    Raises:
        ModelNotFound: A model named at start, or the default, does not exist.
        UnknownTask: A model named at start does not state its task, or it is not installed.
        PluginError: The plugin of such a task is broken.
    """

    def __init__(
        self,
        host: PluginHost,
        models: Mapping[str, Source],
        *,
        task: str | None = None,
        default: str | None = None,
        only: bool = False,
    ) -> None:
        self._host = host
        self._only = only
        self._served: dict[str, Served] = {}
        if task is not None:
            host.task(task)  # also where no model needs it
        if not only:
            self._add_installed()
        for name, source in models.items():
            self._served[name] = self._named(name, source, task)
        self.default = self._choose_default(default, models)

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def tasks(self) -> list[Task]:
        """The tasks of all served names, by name."""
        found = {served.task.name: served.task for served in self}
        return [found[name] for name in sorted(found)]

    def find(self, name: str | None, task: str | None = None) -> Served:
        """The served model of ``name``; None: the default.

        Args:
            name: Name of a model or a task, or the Hub's name of a task.
            task: The task that the caller expects, by any of its names.

        Raises:
            ModelNotFound: Nothing is served under this name.
            UnknownTask: The model serves another task than the expected one.
            PluginError: The plugin of the task is broken.
        """
        served = self._look_up(name)
        if task is not None and task not in (served.task.name, served.task.hub_task):
            other = self._alias(task)
            if other is None or other.task.name != served.task.name:
                raise UnknownTask(
                    f"{served.name!r} serves the task {served.task.name!r}, not {task!r}.",
                    hint=f"Use /models/{served.name}/pipeline/{served.task.hub_task}.",
                )
        return served

    def _look_up(self, name: str | None) -> Served:
        if name is None:
            if self.default is None:
                raise ModelNotFound(
                    "This server has no default model.",
                    hint="Use one of its models: " + ", ".join(f"/models/{n}" for n in self._served)
                    if self._served
                    else "Install a task, such as: pip install nlplug-sentiment",
                )
            return self._served[self.default]
        name = name.rstrip("/") or name  # the end of a URL
        found = self._served.get(name) or self._alias(name)
        if found is None:
            raise self._missing(name)
        return found

    def _alias(self, name: str) -> Served | None:
        # With `only` the host is not used, because it might import the plugin that a URL names.
        if self._only:
            names = {served.task.hub_task: served.name for served in reversed(list(self))}
            return self._served.get(names.get(name, ""))
        try:
            return self._served.get(self._host.task(name).name)
        except UnknownTask:
            return None

    def _missing(self, name: str) -> ModelNotFound:
        task = None if self._only else self._task(name)
        if task is not None and task.default_model is None:
            error = no_model(task)
            return ModelNotFound(
                error.message, hint=f"{error.hint} Name it when you start the server."
            )
        name = name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}…"
        close = difflib.get_close_matches(name, self._served, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else ""
        return ModelNotFound(
            f"This server has no model {name!r}.",
            hint=f"{guess}Its models are: {', '.join(self._served) or 'none'}. To serve others, "
            "name them when you start the server.",
        )

    def _add_installed(self) -> None:
        tasks = {task.name: task for task in self._host.tasks()}
        for task in tasks.values():
            if task.default_model is not None:
                self._served[task.name] = self._of_task(task.name, task, task.default_model)
        for spec in self._host.models():
            # If the task is missing, its plugin is broken or not installed.
            if spec.task in tasks:
                model = Served(spec.name, tasks[spec.task], spec.name, key=spec.name, spec=spec)
                self._served.setdefault(spec.name, model)
        for task in tasks.values():
            if sum(spec.path is not None for spec in self._host.models(task.name)) > 1:
                name = f"{task.name}-{AUTO}"
                self._served.setdefault(name, Served(name, task, AUTO, key=name))

    def _of_task(self, name: str, task: Task, model: str) -> Served:
        return Served(name, task, model, key=model, spec=self._host.find_model(model))

    def _named(self, name: str, source: Source, task: str | None) -> Served:
        if isinstance(source, Pipeline):
            return Served(name, source.definition, source, key=name)
        if isinstance(source, str):
            if (found := self._task(source)) is not None:
                if found.default_model is None:
                    error = no_model(found)
                    raise ModelNotFound(
                        error.message, hint=f"{error.hint} Write: --task {found.name} NAME=MODEL"
                    )
                return self._of_task(name, found, found.default_model)
            if spec := self._host.find_model(source):
                return Served(name, self._host.task(spec.task), source, key=source, spec=spec)
        bundle = self._open(source)
        wanted = task or (bundle.manifest.task if bundle.manifest else "")
        if not wanted:
            raise UnknownTask(
                f"The model {name!r} does not state its task.",
                hint="Start the server with --task TASK.",
            )
        return Served(name, self._host.task(wanted), bundle, key=name)

    def _task(self, name: str) -> Task | None:
        try:
            return self._host.task(name)
        except UnknownTask:
            return None

    def _open(self, source: str | Path | Bundle) -> Bundle:
        from nlplug.models.resolve import resolve

        return resolve(source, host=self._host)

    def _choose_default(self, default: str | None, models: Mapping[str, Source]) -> str | None:
        if default is not None:
            return self._look_up(default).name
        if models:
            return next(iter(models))
        names = {task.name for task in self.tasks()}
        return next(iter(names)) if len(names) == 1 and names <= set(self._served) else None

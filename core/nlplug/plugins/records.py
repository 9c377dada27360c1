"""What the host reports about a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.task import Task

State = Literal["available", "loaded", "failed", "disabled"]


@dataclass(frozen=True)
class PluginRecord:
    """One installed plugin, as known from its metadata and, once it is loaded, from its hooks.

    Attributes:
        name: Name of its entry point: the task's name, for a task.
        dist: The distribution that brings it.
        version: The distribution's version.
        module: What the entry point names, ``module`` or ``module:attribute``.
        state: ``available`` (not imported yet), ``loaded``, ``failed``, or ``disabled`` by the
            filter.
        cause: Why it failed, else None.
        hint: What to do about it, else None.
        tasks: Names of its tasks: those that it registered; its own name until it is loaded.
        kind: ``task``, or the kind that the entry-point group ``nlplug.kinds`` gives.
        aliases: Other names of its tasks.
        summary: One line from the distribution's metadata.
    """

    name: str
    dist: str
    version: str
    module: str
    state: State
    cause: str | None = None
    hint: str | None = None
    tasks: tuple[str, ...] = ()
    kind: str = "task"
    aliases: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin and what it registered.

    Attributes:
        name: Name of its (first) entry point.
        names: Names of all entry points that name the same module.
        dist: The distribution that brings it.
        version: The distribution's version.
        module: The module, or the object that the entry point names, with its hooks.
        tasks: The tasks it registered.
        models: The models it registered.
    """

    name: str
    names: tuple[str, ...]
    dist: str
    version: str
    module: Any
    tasks: tuple[Task, ...]
    models: tuple[ModelSpec, ...]

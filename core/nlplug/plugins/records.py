"""What the host tells about a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nlplug.models.spec import ModelSpec
    from nlplug.task import Task

State = Literal["available", "loaded", "failed", "disabled"]


@dataclass(frozen=True)
class PluginRecord:
    """One installed plugin, as far as it is known without importing it.

    Attributes:
        name: Name of its entry point: the task's name, for a task.
        dist: The distribution that brings it.
        version: The distribution's version.
        module: What the entry point names, ``module`` or ``module:attribute``.
        state: ``available`` (not imported yet), ``loaded``, ``failed``, or ``disabled`` by the
            filter.
        cause: Why it failed, else None.
        hint: What to do about it, else None.
        tasks: Names of its tasks: those it registered once loaded, before that its own name.
        kind: ``task``, or what its entry in the group ``nlplug.kinds`` says.
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
    """A loaded plugin: what its module registered.

    Attributes:
        name: Name of its (first) entry point.
        names: Names of all entry points that name the same module.
        dist: The distribution that brings it.
        version: The distribution's version.
        module: The module, or whatever the entry point names, that holds its hooks.
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

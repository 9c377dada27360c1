"""What a plugin may offer: every hook of nlplug, on one screen.

A plugin implements any of these as functions decorated with ``nlplug.hookimpl`` in the module
that its entry point (group ``nlplug``, name = task name) points to. ``docs/plugins.md`` has a
complete example of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from nlplug.models.spec import ModelSpec
    from nlplug.task import Task

PROJECT = "nlplug"
CONTRACT_VERSION = 1
"""The version of the hooks and of the task contract.

A plugin module may state the one it was written for as ``NLPLUG_CONTRACT = 1``.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """The tasks that this plugin offers; each needs an entry point of its own name."""


@hookspec
def register_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]
    """Ready models: those that the package embeds and those on the Hub that it recommends."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to the ``nlplug`` command line; a name that is taken is refused."""


@hookspec
def register_routes(app: Any) -> None:
    """Add HTTP routes beyond the generated ones, under ``/x/<plugin>/``.

    ``app`` is a ``fastapi.FastAPI`` of the plugin's own, mounted there.
    """

"""The hooks of nlplug: what a plugin may offer.

A plugin implements any of these as functions decorated with ``nlplug.hookimpl``, in the module that
its entry point names (group ``nlplug``, name = task name). The example of each hook is a complete
module.
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
CONTRACT_VERSION = 2
"""The version of the hooks, of the task contract and of the public API.

A plugin module may state the version that it was written for: ``NLPLUG_CONTRACT = 2``.
"""

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks the specification of a hook, in packages that add hooks of their own."""
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook."""


@hookspec
def register_tasks() -> Iterable[Task]:  # type: ignore[empty-body]  # a specification has no body
    """The tasks of this plugin; each needs an entry point of its own name.

    Example, for the entry point ``mood``::

        from nlplug import Example, hookimpl
        from nlplug.families.sequence_classification import SequenceClassificationTask


        class MoodTask(SequenceClassificationTask):
            name = "mood"
            title = "Mood"
            description = "Is a text happy or sad?"
            examples = [Example({"text": "What a good day!"})]


        @hookimpl
        def register_tasks():
            return [MoodTask()]
    """


@hookspec
def register_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]  # as above
    """Models that users can name: those in the package, and recommended models of the Hub.

    Example::

        from pathlib import Path

        from nlplug import ModelSpec, hookimpl


        @hookimpl
        def register_models():
            folder = Path(__file__).parent / "model"
            return [
                ModelSpec("mood-small", task="mood", path=folder),
                ModelSpec("mood-large", task="mood", hub_id="someone/mood-onnx", license="MIT"),
            ]
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to the command line ``nlplug``; the name of a built-in command is refused.

    Example::

        import click

        from nlplug import hookimpl


        @hookimpl
        def register_commands(cli):
            @cli.command()
            @click.argument("name")
            def greet(name):
                click.echo(f"Hello {name}")
    """


@hookspec
def register_routes(app: Any) -> None:
    """Add HTTP routes to ``app``, a ``fastapi.FastAPI`` that is mounted under ``/x/<plugin>/``.

    Example, which answers ``GET /x/<plugin>/hello``::

        from nlplug import hookimpl


        @hookimpl
        def register_routes(app):
            @app.get("/hello")
            def hello():
                return {"hello": "world"}
    """

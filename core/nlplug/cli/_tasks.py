"""Command groups with one subcommand per installed task."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from nlplug.cli._context import host_of
from nlplug.errors import UnknownTask

if TYPE_CHECKING:
    from nlplug.task import Task


class TaskGroup(click.Group):
    """One subcommand per task. Only the plugin of the named task is imported.

    Attributes:
        file_argument: What stands before the path of a file; None if no subcommand takes a file.
    """

    file_argument: ClassVar[str | None] = None

    def __init__(self, *args: Any, **settings: Any) -> None:
        # The options are those of the task, after its name.
        super().__init__(*args, **{"options_metavar": None, **settings})

    @abstractmethod
    def command_of(self, task: Task) -> click.Command:
        """The subcommand of a task."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the installed tasks."""
        return host_of(ctx).task_names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of a task.

        Raises:
            UnknownTask: No such task is installed.
            PluginError: The plugin of the task is broken.
        """
        host = host_of(ctx)
        try:
            task = host.task(cmd_name)
        except UnknownTask as error:
            if self.file_argument is None or not Path(cmd_name).is_file():
                raise
            example = f"{ctx.command_path} TASK {self.file_argument}{cmd_name}"
            raise UnknownTask(
                f"{cmd_name!r} is a file, not a task.",
                hint=f"Name a task before it: `{example}`. {error.hint}",
            ) from None
        return self.command_of(task)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the tasks; their descriptions would require importing the plugins."""
        names = self.list_commands(ctx)
        with formatter.section("Tasks"):
            formatter.write_text(", ".join(names) or "none installed")
            formatter.write_text(f"`{ctx.command_path} TASK --help` shows the options of a task.")

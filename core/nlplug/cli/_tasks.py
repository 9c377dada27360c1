"""Command groups with one subcommand per installed task."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import click

from nlplug.cli._context import host_of

if TYPE_CHECKING:
    from nlplug.task import Task


class TaskGroup(click.Group):
    """One subcommand per task. Only the plugin of the named task is imported."""

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
        return self.command_of(host_of(ctx).task(cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the tasks; their descriptions would require importing the plugins."""
        names = self.list_commands(ctx)
        with formatter.section("Tasks"):
            formatter.write_text(", ".join(names) or "none installed")
            formatter.write_text(f"`{ctx.command_path} TASK --help` shows the options of a task.")

"""``nlplug train TASK``: fine-tune on labelled data and export the result."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._config import config_command, read_config
from nlplug.cli._context import show_log
from nlplug.cli._tasks import TaskGroup
from nlplug.families.family import load

if TYPE_CHECKING:
    from nlplug.task import Task

_HELP = """Fine-tune a model for {task}, and export it behind the quality gate.

\b
nlplug train {task} --base FOLDER_OR_HUB_ID \\
    --data train.jsonl --eval dev.jsonl --output out/

The bundle is written to --output; the PyTorch checkpoint stays in OUTPUT.training/model. A run
that was killed continues with --resume. Options that take several values are given several times
or with commas.
"""


class _Tasks(TaskGroup):
    def command_of(self, task: Task) -> click.Command:
        settings = load(task.family.settings)
        return config_command(
            task.name, settings, partial(_train, task, settings), _HELP.format(task=task.name)
        )


@click.group(cls=_Tasks, subcommand_metavar="TASK [OPTIONS]")
def train() -> None:
    """Fine-tune a model of TASK on labelled data, and export it behind the quality gate.

    \b
    nlplug train sentiment --base FOLDER_OR_HUB_ID \\
        --data train.jsonl --eval dev.jsonl --output out/
    """


def _train(task: Task, settings: Any, file: Path | None, **values: Any) -> None:
    from nlplug.train.processes import is_main
    from nlplug.train.run import train as run

    config = read_config(settings, file, values)
    if is_main():
        show_log("nlplug.data")
    folder = run(task, config)
    if is_main():  # of several processes
        click.echo(f"The bundle is in {folder}. Try: nlplug run {task.name} --model {folder} …")

"""``nlplug train TASK``: fine-tune on labelled data and export the result."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._config import config_command, read_config, resumable
from nlplug.cli._context import show_log
from nlplug.cli._tasks import TaskGroup
from nlplug.families.family import load

if TYPE_CHECKING:
    from nlplug.task import Task

_HELP = """Fine-tune a model for the task {task} and export it to ONNX.

\b
nlplug train {task} --data train.jsonl --output out/

The data is checked first; `nlplug data check {task}` does only this. The exported model (a bundle)
is written to --output if its quality is within --budget of the PyTorch model. The report is in
OUTPUT.report, and the PyTorch checkpoint stays in OUTPUT.training/model.

--data and --output are required, here or in the file of --config. If --base is not given, training
starts from the base of the task, if it has one. Epochs, batch size, learning rate and warmup are
chosen from the number of rows and the base where they are not given. A result that is not better
than a trivial answer, such as the most frequent label, is an error (exit code 8). --resume
continues an interrupted run. To give several values, repeat an option or separate the values by
commas; repeat --data and --eval, since file names may contain commas.
"""


class _Tasks(TaskGroup):
    file_argument = "--data "

    def command_of(self, task: Task) -> click.Command:
        settings = load(task.family.settings)
        return config_command(
            task.name, settings, partial(_train, task, settings), _HELP.format(task=task.name)
        )


@click.group(cls=_Tasks, subcommand_metavar="TASK [OPTIONS]")
def train() -> None:
    """Fine-tune a model for TASK on your data and export it to ONNX.

    \b
    nlplug train sentiment --data train.jsonl --output out/
    """


def _train(task: Task, settings: Any, file: Path | None, **values: Any) -> None:
    from nlplug.train.processes import is_main
    from nlplug.train.run import train as run

    config = read_config(settings, file, values)
    if is_main():
        show_log("nlplug.data")
        show_log("nlplug.train")
    with resumable(file, values):
        folder = run(task, config)
    if is_main():  # of several processes
        click.echo(f"The bundle is in {folder}. Try: nlplug run {task.name} --model {folder} …")

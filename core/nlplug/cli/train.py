"""``nlplug train TASK``: fine-tune on labelled data and export the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._config import ConfigCommand, read_config
from nlplug.cli._context import show_log
from nlplug.train.config import TrainConfig

if TYPE_CHECKING:
    from nlplug.task import Task


class _Train(ConfigCommand):
    settings = TrainConfig


@click.command(cls=_Train)
@click.argument("task")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help='TOML file with any of the settings below (data = ["a.csv"]); options given here win.',
)
def train(task: str, file: Path | None, **values: Any) -> None:
    """Fine-tune a model of TASK on labelled data, and export it behind the quality gate.

    \b
    nlplug train sentiment --base FOLDER_OR_HUB_ID \\
        --data train.jsonl --eval dev.jsonl --output out/

    The bundle is written to --output; the PyTorch checkpoint stays in OUTPUT.training/model. A run
    that was killed goes on with --resume. Options that take several values are given several times
    or with commas.
    """
    config = read_config(TrainConfig, file, values)
    found = _task(task)

    from nlplug.train.processes import is_main
    from nlplug.train.run import train as run

    if is_main():
        show_log("nlplug.data")
    folder = run(found, config)
    if is_main():  # of several processes
        click.echo(f"The bundle is in {folder}. Try: nlplug run {found.name} --model {folder} …")


def _task(name: str) -> Task:
    from nlplug.plugins import PluginHost

    host = click.get_current_context().meta.get("nlplug.host") or PluginHost.discover()
    task: Task = host.task(name)
    return task

"""``nlplug data check``: what a data file holds, and what looks wrong, before training."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._config import config_options, read_config, read_settings
from nlplug.cli._tasks import TaskGroup
from nlplug.families.family import load

if TYPE_CHECKING:
    from nlplug.task import Task

_HELP = """Check the rows of FILES for training the task {task}.

\b
nlplug data check {task} rows.csv
nlplug data check {task} rows.csv --eval eval.csv --base FOLDER_OR_HUB_ID
nlplug data check {task} --config run.toml

It prints how the files were read, and what looks wrong: rows that training would reject; texts
that are in both the training data and the evaluation data; contradicting and repeated rows; labels
that differ only in spelling; imbalance and rare labels; texts longer than the window of --base. It
also estimates the training time. The options are those of `nlplug train {task}`.

The exit code is 0 if there are no errors, and 1 if training would reject the data. With --strict,
warnings also give 1.
"""
EXIT_PROBLEMS = 1
_NEEDED = ("base", "output")
_LEFT_OUT = ("data", "output", "resume", "test_share", "strict")


class _Tasks(TaskGroup):
    file_argument = ""

    def command_of(self, task: Task) -> click.Command:
        settings = load(task.family.settings)
        about = [
            option
            for option in config_options(settings)
            if option.name == "file" or option.name in _names(settings)
        ]
        return click.Command(
            task.name,
            params=[
                click.Argument(["files"], nargs=-1, type=click.Path(path_type=Path)),
                *about,
                click.Option(["--strict"], is_flag=True, help="Exit with 1 if there are warnings."),
                click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
            ],
            callback=partial(_check, task, settings),
            help=_HELP.format(task=task.name),
        )


def _names(settings: Any) -> set[str]:
    """The settings that say what the data is, how to read it, and how much work it makes."""
    from nlplug.train.config import LabelledConfig, RunConfig, TrainConfig

    about = set(RunConfig.model_fields) | set(settings.model_fields) - set(TrainConfig.model_fields)
    about |= set(LabelledConfig.model_fields) - set(TrainConfig.model_fields)
    about |= {"base", "max_length", "epochs", "languages", "test", "test_share"}
    return (about & set(settings.model_fields)) - set(_LEFT_OUT)


@click.group()
def data() -> None:
    """Check data files before they are used."""


@data.group(cls=_Tasks, subcommand_metavar="TASK [FILE]... [OPTIONS]")
def check() -> None:
    """Check labelled rows for training a TASK.

    \b
    nlplug data check classification rows.csv --eval eval.csv
    """


def _check(
    task: Task,
    settings: Any,
    file: Path | None,
    files: tuple[Path, ...],
    strict: bool,
    as_json: bool,
    **values: Any,
) -> None:
    from nlplug.train.check import check_files

    if files:
        values["data"] = tuple(map(str, files))
    known = read_settings(file)
    # A check writes nothing, so the settings that only a run needs may be missing.
    values |= {name: "" for name in _NEEDED if name not in known and values.get(name) is None}
    config = read_config(settings, file, values)
    found, _ = check_files(task, config)
    click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2) if as_json else str(found))
    errors, warnings = found.count("error"), found.count("warning")
    if not as_json:
        click.echo(f"{_number(errors, 'error')}, {_number(warnings, 'warning')}.")
    if errors or (strict and warnings):
        click.get_current_context().exit(EXIT_PROBLEMS)


def _number(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"

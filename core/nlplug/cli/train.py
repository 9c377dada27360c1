"""``nlplug train TASK``: fine-tune on labelled data and export the result."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from nlplug.cli._options import given, model_options
from nlplug.errors import OptionError
from nlplug.train.config import TrainConfig

if TYPE_CHECKING:
    from nlplug.task import Task


class _Train(click.Command):
    """Whose options are the fields of ``TrainConfig``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in model_options(TrainConfig):
            # The texts of these fields say themselves what happens without a value.
            option.help = re.sub(r"  \[default: (not set|\[\]|)\]$", "", option.help or "")
            self.params.append(option)


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
    config = _config({**_settings(file), **_split(given(values))})
    found = _task(task)

    from nlplug.train.run import train as run

    folder = run(found, config)
    click.echo(f"The bundle is in {folder}. Try: nlplug run {found.name} --model {folder} …")


def _task(name: str) -> Task:
    from nlplug.plugins import PluginHost

    host = click.get_current_context().meta.get("nlplug.host") or PluginHost.discover()
    task: Task = host.task(name)
    return task


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{file}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(
            f"{file}: not TOML ({error}).", hint="A setting looks like: learning_rate = 5e-5"
        ) from None


def _split(values: dict[str, Any]) -> dict[str, Any]:
    """Lists that were given with commas; file names may hold some, so those are left alone."""
    paths = ("data", "eval")
    return {
        name: [part.strip() for item in value for part in item.split(",") if part.strip()]
        if isinstance(value, list) and name not in paths
        else value
        for name, value in values.items()
    }


def _config(values: dict[str, Any]) -> TrainConfig:
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        flag = f"--{name.replace('_', '-')}"
        if first["type"] == "missing":
            raise OptionError(f"{flag} is not given.", hint="nlplug train --help") from None
        if first["type"] == "extra_forbidden":
            raise OptionError(
                f"There is no setting {name!r}.",
                hint=f"The settings are {', '.join(TrainConfig.model_fields)}.",
            ) from None
        raise OptionError(f"{flag} is {first['input']!r}.", hint=f"{first['msg']}.") from None

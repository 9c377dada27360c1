"""Commands whose options are the fields of a pydantic model; a TOML file may set them too."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from nlplug.cli._options import NONE, given, model_options
from nlplug.errors import OptionError, TrainingInterrupted
from nlplug.train.config import validated

Settings = TypeVar("Settings", bound=BaseModel)


def config_options(settings: type[BaseModel]) -> list[click.Parameter]:
    """``--config``, and one option for each field of ``settings``."""
    file = click.Option(
        ["--config", "file"],
        type=click.Path(path_type=Path),
        help='TOML file with settings (data = ["a.csv"]). Command-line options take precedence.',
    )
    options = model_options(settings)
    for option in options:
        # The descriptions of these fields say what happens without a value.
        option.help = re.sub(r"  \[default: (not set|\[\]|)\]$", "", option.help or "")
        extra = settings.model_fields[str(option.name)].json_schema_extra
        if isinstance(extra, dict) and "chosen" in extra:
            option.help = re.sub(r"  \[default: .*\]$", "", option.help)
    return [file, *options]


def config_command(
    name: str, settings: type[BaseModel], callback: Callable[..., None], text: str
) -> click.Command:
    """A command whose options are the fields of ``settings``.

    Args:
        name: Name of the command.
        settings: A pydantic model.
        callback: Called with ``file`` and the parsed values, for `read_config`.
        text: The help text.
    """
    return click.Command(name, params=config_options(settings), callback=callback, help=text)


def read_config(model: type[Settings], file: Path | None, values: dict[str, Any]) -> Settings:
    """The settings of a file and of the command line, which takes precedence.

    Args:
        model: The pydantic model of the settings.
        file: A TOML file, or None.
        values: The values parsed by click; lists may be separated by commas.

    Raises:
        OptionError: The file cannot be read, or a setting is missing, unknown or out of bounds.
    """
    settings = {**read_settings(file), **_split(given(values))}
    return validated(model, settings, command=click.get_current_context().command_path)


@contextmanager
def resumable(file: Path | None, values: dict[str, Any]) -> Iterator[None]:
    """A block in which an interruption says by which command the run continues.

    Args:
        file: The file of ``--config``, or None.
        values: The options as parsed by click.

    Raises:
        TrainingInterrupted: With the command as its hint.
    """
    try:
        yield
    except TrainingInterrupted as error:
        words = click.get_current_context().command_path.split()
        words += ["--config", str(file)] if file is not None else []
        for name, value in values.items():
            if name != "resume":
                words += _words(f"--{name.replace('_', '-')}", value)
        error.hint = f"Continue with: {shlex.join([*words, '--resume'])}"
        raise


def _words(flag: str, value: Any) -> list[str]:
    """An option with its value, as words of a command line."""
    if value is None or value == ():
        return []
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, tuple):
        return [word for item in value for word in (flag, str(item))]
    return [flag, "none" if value is NONE else str(value)]


def read_settings(file: Path | None) -> dict[str, Any]:
    """The settings of a TOML file; an empty dict for None.

    Raises:
        OptionError: The file cannot be read.
    """
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(f"{file}: cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(
            f"{file}: not TOML ({error}).", hint="A setting looks like: learning_rate = 5e-5"
        ) from None


def _split(values: dict[str, Any]) -> dict[str, Any]:
    """Split lists at commas, except file names, which may contain commas."""
    paths = ("data", "eval")
    return {
        name: [part.strip() for item in value for part in item.split(",") if part.strip()]
        if isinstance(value, list) and name not in paths
        else value
        for name, value in values.items()
    }

"""Commands whose options are a pydantic model of settings, which a TOML file may hold too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import click
from pydantic import BaseModel, ValidationError

from nlplug.cli._options import given, model_options
from nlplug.errors import OptionError

Settings = TypeVar("Settings", bound=BaseModel)


class ConfigCommand(click.Command):
    """A command whose options are the fields of ``settings``."""

    settings: ClassVar[type[BaseModel]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in model_options(self.settings):
            # The texts of these fields say themselves what happens without a value.
            option.help = re.sub(r"  \[default: (not set|\[\]|)\]$", "", option.help or "")
            self.params.append(option)


def read_config(model: type[Settings], file: Path | None, values: dict[str, Any]) -> Settings:
    """The settings of a file and of the command line, which wins.

    Args:
        model: What the settings are.
        file: A TOML file, or None.
        values: What click parsed; lists may be given with commas.

    Raises:
        OptionError: The file cannot be read, or a setting is missing, unknown or out of bounds.
    """
    settings = {**_settings(file), **_split(given(values))}
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        flag = f"--{name.replace('_', '-')}"
        if first["type"] == "missing":
            command = click.get_current_context().info_name
            raise OptionError(f"{flag} is not given.", hint=f"nlplug {command} --help") from None
        if first["type"] == "extra_forbidden":
            raise OptionError(
                f"There is no setting {name!r}.",
                hint=f"The settings are {', '.join(model.model_fields)}.",
            ) from None
        raise OptionError(f"{flag} is {first['input']!r}.", hint=f"{first['msg']}.") from None


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

"""Command-line options made from a task's pydantic models."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from nlplug.errors import OptionError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    ParamType = click.ParamType[Any, Any]
else:
    ParamType = click.ParamType  # generic only in the newest releases


class FiniteRange(click.FloatRange):
    """A number between bounds; NaN, which no bound excludes, and infinity are refused."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number.

        Raises:
            BadParameter: It is no number, not finite, or out of bounds.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def model_options(model: type[BaseModel], converted: Collection[str] = ()) -> list[click.Option]:
    """One ``--option`` per field, with its type, bounds, help and default.

    Options that are not given are not passed on, so the task can distinguish them from defaults.
    A field that may be None, or that is converted, accepts the word ``none``, unless that is one of
    its own values. Fields that exist only in Python have no option, and unlisted ones are not in
    the help.

    Args:
        model: The model.
        converted: Fields whose values are converted later, so that they accept more values than
            the model declares.
    """
    from nlplug.task import python_only, unlisted

    missing, hidden = python_only(model), unlisted(model)
    options = []
    for name, field in model.model_fields.items():
        if name not in missing:
            options.append(_option(name, field, converted=name in converted))
            options[-1].hidden = name in hidden
    return options


def named_option(flag: str) -> click.Option:
    """A hidden option for an argument that no model declares: JSON, or else a text."""
    name = flag.removeprefix("--").replace("-", "_")
    return click.Option([flag, name], type=_JsonOrText(), default=None, hidden=True)


def _option(name: str, field: FieldInfo, *, converted: bool) -> click.Option:
    kind, optional = _unwrap(field.annotation)
    read = _click_type(kind)
    if converted and isinstance(read, click.Choice):
        read = _Open(read)
    flag = f"--{name.replace('_', '-')}"
    text = field.description or ""
    value = field.get_default(call_default_factory=True)
    default = "not set" if value is None or value == [] else value
    if not field.is_required():
        text = f"{text}  [default: {str(default).lower() if kind is bool else default}]"
    if kind is bool and not optional:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=text)
    extra = field.json_schema_extra
    commas = isinstance(extra, dict) and "commas" in extra
    return click.Option(
        [flag, name],
        callback=_joined if commas else None,
        type=_OrNone(read) if (optional or converted) and not _is_word(kind) else read,
        multiple=get_origin(kind) is list,
        default=None,
        help=text,
    )


def _joined(context: click.Context, option: click.Parameter, values: Any) -> Any:
    """Several values as one text with commas, for a field that splits texts (mark ``commas``)."""
    return ",".join(values) or None


def reading_options(format_flag: str) -> list[click.Option]:
    """Options for reading a data file: format, delimiter and encoding.

    Args:
        format_flag: Name of the option for the format; ``--format`` may be in use.
    """
    from nlplug.data.formats import FORMAT_NAMES

    return [
        click.Option(
            [format_flag, "cli_format"],
            type=click.Choice(FORMAT_NAMES),
            help="Format of the data.  [default: from the file name]",
        ),
        click.Option(
            ["--delimiter", "cli_delimiter"],
            help="Delimiter of the columns: a character, or the word tab.  [default: detected]",
        ),
        click.Option(
            ["--encoding", "cli_encoding"],
            help="Encoding of the data, such as cp1252.  [default: detected]",
        ),
    ]


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given on the command line, with ``none`` turned into None."""
    return {
        name: None if value is NONE else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None and value != ()
    }


def named_options(
    model: type[BaseModel], texts: Sequence[str], context: click.Context
) -> dict[str, Any]:
    """The options of a task that a command for all tasks takes as ``NAME=VALUE``.

    Values are read as ``nlplug run`` reads them. A list is given by repeating its name. Names that
    the model does not have are kept, so that the task refuses them with its own message.

    Args:
        model: The options of the task.
        texts: The texts.
        context: The context of the command.

    Raises:
        OptionError: A text has no ``=``, or an option that takes one value has several.
        click.BadParameter: A value has the wrong type.
    """
    collected: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise OptionError(
                f"--option is {text!r}.", hint="Write NAME=VALUE, such as --option top_k=3."
            )
        collected.setdefault(name.strip().replace("-", "_"), []).append(value)
    known = {option.name: option for option in model_options(model)}
    read: dict[str, Any] = {}
    for name, values in collected.items():
        option = known.get(name)
        if len(values) > 1 and (option is None or not option.multiple):
            raise OptionError(
                f"--option gives {name!r} {len(values)} times.", hint="Give it one value."
            )
        if option is None:
            read[name] = values[0]
        else:
            read[name] = option.process_value(context, values if option.multiple else values[0])
    return given(read)


NONE = object()
"""The value of ``none`` on the command line, because None means "not given" there."""


class _Wrapped(ParamType):
    """A type that is shown as another one."""

    def __init__(self, inner: ParamType) -> None:
        self.inner = inner
        self.name = inner.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self.inner.get_metavar(param, ctx)


class _JsonOrText(ParamType):
    """A JSON value; what is none is a text."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            read = json.loads(value)
        except ValueError:
            return value
        return NONE if read is None else read


class _Open(_Wrapped):
    """A choice that the help shows, and any other value, which the task checks."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.inner.convert(value, param, ctx)
        except click.BadParameter:
            return _JsonOrText().convert(value, param, ctx)


class _OrNone(_Wrapped):
    """A type, or the word ``none``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value is NONE or (isinstance(value, str) and value.lower() == "none"):
            return NONE
        return self.inner.convert(value, param, ctx)


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """The type without None, and whether None is allowed."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if len(kinds) == 1:
            return kinds[0], True
        return str, len(kinds) < len(get_args(annotation))
    return annotation, False


def _is_word(kind: Any) -> bool:
    """Whether ``none`` is an ordinary value of the type."""
    return kind is str or (get_origin(kind) is Literal and "none" in get_args(kind))


class _Listed(_Wrapped):
    """One value of a type, or several separated by commas, which the caller splits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        for part in value.split(","):
            self.inner.convert(part.strip(), param, ctx)
        return value


def _click_type(kind: Any) -> ParamType:
    if get_origin(kind) is list:
        [item] = get_args(kind) or (str,)
        if get_origin(item) is list:
            return _JsonOrText()
        inner = _click_type(item)
        return _Listed(inner) if isinstance(inner, click.Choice) else inner
    if get_origin(kind) is Literal:
        return click.Choice([str(value) for value in get_args(kind)])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return click.Choice([str(member.value) for member in kind])
    # Bounds are checked by the task's own model, so that the message is the same as in Python.
    simple: dict[Any, ParamType] = {int: click.INT, float: click.FLOAT, bool: click.BOOL}
    return simple.get(kind, click.STRING)

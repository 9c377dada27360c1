"""From what a caller has, a file or lists of fields, to one input after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from nlplug.errors import InputError
from nlplug.validation import make_input

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from nlplug.task import Task


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Errors of inputs that are raised within say where the input stands."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{place}: {error.message}", hint=error.hint) from None


def first_field(task: Task, given: Collection[str] = ()) -> str:
    """The field that a bare string fills: the first of those that are not given already."""
    names = list(task.Input.model_fields)
    return next((name for name in names if name not in given), names[0])


def read_inputs(
    task: Task, path: Path, given: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """The inputs of a file, one a row; columns that the task does not know are left out.

    Args:
        task: The task.
        path: The file; the lines of plain text fill the task's first field.
        given: Fields that need no column, as they are the same for all rows; they are in none
            of what is yielded.

    Raises:
        DataError: The file cannot be read; the message names the line.
        InputError: The file has none of the task's fields, or the task cannot take a row; the
            message names the line.
    """
    from nlplug.data.formats import data_format
    from nlplug.data.readers import read_rows

    shared = given or {}
    known = [name for name in task.Input.model_fields if name not in shared]
    first = first_field(task, shared)
    plain = data_format(path) == ".txt"
    for row in read_rows(path):
        columns = {first: row.values["text"]} if plain else row.values
        values = {name: value for name, value in columns.items() if name in known}
        place = f"{row.source}:{row.line}"
        if first not in values:
            raise InputError(
                f"{place}: there is no {first!r} among the columns "
                f"{', '.join(map(str, row.values))}.",
                hint=f"Name the column that holds the {first} {first!r}.",
            )
        with placed(place):
            make_input(task, {**values, **shared})
        yield values


def spread(task: Task, text: str | None, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Fields given as lists become a list of inputs; without any all stays as it is.

    Raises:
        InputError: The lists are not of one length.
    """
    columns = {
        name: value
        for name, value in fields.items()
        if isinstance(value, list | tuple) and not _takes_list(task.Input.model_fields[name])
    }
    if not columns:
        return text, fields
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise InputError(
            f"The lists given for the fields are not of one length: {lengths}.",
            hint="Give lists of one length, or a single value where all inputs share it.",
        )
    shared = {name: value for name, value in fields.items() if name not in columns}
    if text is not None:
        shared[first_field(task, fields)] = text
    rows = zip(*columns.values(), strict=True)
    return [{**shared, **dict(zip(columns, row, strict=True))} for row in rows], {}


def _takes_list(field: FieldInfo) -> bool:
    """Whether a list is one value of the field."""
    kinds = [field.annotation, *get_args(field.annotation)]
    kinds += [get_args(kind)[0] for kind in kinds if get_origin(kind) is Annotated]
    return any((get_origin(kind) or kind) in (list, tuple, set, dict, Any) for kind in kinds)

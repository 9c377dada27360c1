"""From what a caller has, a file or lists of fields, to one input after the other."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args, get_origin, runtime_checkable

import numpy as np

from nlplug.data.rows import column_of
from nlplug.errors import InputError, OptionError
from nlplug.validation import make_input

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from nlplug.data.formats import DataFile
    from nlplug.data.rows import DataRow
    from nlplug.task import Task


@runtime_checkable
class IndexedInputs(Protocol):
    """Inputs by number, such as a ``Dataset`` of PyTorch or a ``KeyDataset`` of transformers."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


@runtime_checkable
class _DataFrame(Protocol):
    """That of pandas."""

    columns: Any

    def itertuples(self, *, index: bool, name: str | None) -> Iterator[tuple[Any, ...]]: ...


class SizedAnswers(Iterator[Any]):
    """The answers to inputs whose number is known; ``len()`` is this number.

    Args:
        answers: The answers, in order.
        length: Number of the inputs.
    """

    def __init__(self, answers: Generator[Any, None, None], length: int) -> None:
        self._answers = answers
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __next__(self) -> Any:
        return next(self._answers)

    def close(self) -> None:
        """End the work."""
        self._answers.close()


def is_one_input(task: Task, inputs: Any) -> bool:
    """Whether a value is one input, or can only be refused as one, as a set, which has no order."""
    refused = (bytes, bytearray, memoryview, set, frozenset)
    if isinstance(inputs, (str, Mapping, task.Input, *refused)):
        return True
    return isinstance(inputs, np.ndarray) and inputs.ndim == 0


def items_of(inputs: IndexedInputs | Iterable[Any]) -> Iterator[Any]:
    """The inputs in order; of a data frame of pandas the rows, as dicts."""
    if isinstance(inputs, _DataFrame):  # iterating over it gives the names of its columns
        for row in inputs.itertuples(index=False, name=None):
            yield dict(zip(inputs.columns, row, strict=True))
    elif isinstance(inputs, Iterable):
        yield from inputs
    else:
        for number in range(len(inputs)):
            yield inputs[number]


def known_columns(
    task: Task, rows: Iterable[Any], given: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """The inputs of a stream; of rows of a table only the columns that the task knows.

    Args:
        task: The task.
        rows: Inputs. A row with a column of the task's first field, or of one of its other names,
            may have further columns, which are left out. Other inputs are returned unchanged.
        given: Fields that are the same for all inputs.
    """
    names: tuple[Any, ...] | None = None
    picked: dict[str, str] = {}
    first = first_field(task, given or {})
    for row in rows:
        if not isinstance(row, Mapping):
            yield row
            continue
        if names != tuple(row):
            names = tuple(row)
            picked = pick_columns(task, [str(name) for name in names], given or {})
        values = {name: row[column] for name, column in picked.items()} if first in picked else row
        yield values


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Errors of inputs that are raised inside get the position of the input."""
    try:
        yield
    except InputError as error:
        raise error.at(place) from None


def first_field(task: Task, given: Collection[str] = ()) -> str:
    """The field that a bare string fills: the first of those that are not given already."""
    names = list(task.Input.model_fields)
    return next((name for name in names if name not in given), names[0])


def with_fields(task: Task, value: Any, fields: Mapping[str, Any]) -> Any:
    """An input with the fields that are given by name.

    Args:
        task: The task.
        value: A text, a dict of fields or an input; None: the fields by name are all.
        fields: The fields by name.

    Raises:
        InputError: A field is given twice.
    """
    if value is None:
        return fields
    if not fields:
        return value
    if isinstance(value, str):
        value = _named(task, value, fields)
    elif not isinstance(value, Mapping):
        value = make_input(task, value).model_dump(exclude_unset=True)
    if twice := fields.keys() & value.keys():
        raise _given_twice(min(twice))
    return {**value, **fields}


def _named(task: Task, text: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """A text by position, under the name of its field."""
    needed = [name for name, field in task.Input.model_fields.items() if field.is_required()]
    if needed and all(name in fields for name in needed):
        raise _given_twice(needed[0])
    return {first_field(task, fields): text}


def _given_twice(name: str) -> InputError:
    return InputError(f"The field {name!r} is given twice.", hint=f"Leave {name}= out.")


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input of many, and the row that it comes from.

    Attributes:
        values: Field of the task's input → value.
        row: The row, with all of its columns.
    """

    values: Mapping[str, Any]
    row: DataRow


def read_inputs(
    task: Task,
    file: Path | DataFile,
    given: Mapping[str, Any] | None = None,
    *,
    text_column: str | None = None,
) -> Iterator[InputRow]:
    """The inputs of a file, one per row; columns that the task does not know are left out.

    Args:
        task: The task.
        file: The file, and how it is read. The lines of plain text fill the task's first field.
            Its report says which column fills which field.
        given: Fields that need no column, as they are the same for all rows; they are in none
            of what is yielded.
        text_column: Column that fills the first field that is not given.

    Raises:
        DataError: The file cannot be read; the message names the line.
        InputError: The file has none of the task's fields, or the task cannot take a row; the
            message names the line.
    """
    from nlplug.data.formats import DataFile
    from nlplug.data.readers import read_rows
    from nlplug.data.rows import DataRow

    shared = given or {}
    first = first_field(task, shared)
    needed = task.Input.model_fields[first].is_required()
    file = file if isinstance(file, DataFile) else DataFile(file)
    plain = file.kind == ".txt"
    columns: tuple[str, ...] | None = None
    rows = read_rows(file)
    for row in rows:
        if plain:
            row = DataRow({first: row.values["text"]}, row.source, row.line)
        if columns != tuple(row.values):
            columns = tuple(row.values)
            picked = pick_columns(task, columns, shared, text_column=text_column)
            file.report.used = file.report.used or picked
        values = {name: value_of(row, name, column) for name, column in picked.items()}
        try:
            if first not in values and (needed or not values):
                raise no_column(row, first, text_column or first)
            with placed(row.where):
                make_input(task, {**values, **shared})
        except InputError as error:
            rows.reject(row, error)
            continue
        yield InputRow(values, row)


def no_column(row: DataRow, field: str, column: str) -> InputError:
    """The error for a row that lacks the column of a field."""
    return InputError(
        f"{row.where}: there is no {column!r} among the columns {', '.join(row.values)}.",
        hint=f"Rename the column with the {field} to {field!r}, or name it with --text-column.",
    )


def pick_columns(
    task: Task,
    columns: Sequence[str],
    given: Collection[str] = (),
    *,
    text_column: str | None = None,
) -> dict[str, str]:
    """The column for each field of a task's input; fields without one are left out.

    It is the column of the same name, in another case if only one column has it, or one of those
    that the field names by the mark ``columns``, such as ``messages`` for a chat; no other column
    is taken unasked.

    Args:
        task: The task.
        columns: Names of the columns of a file.
        given: Fields that need no column.
        text_column: Column of the first field that is not given.
    """
    names = [name for name in task.Input.model_fields if name not in given]
    picked = {
        name: found for name in names if (found := _column_of(task, name, columns)) is not None
    }
    if text_column is not None and names:
        picked.pop(names[0], None)
        named = column_of(text_column, columns)
        return picked | ({names[0]: named} if named is not None else {})
    return picked


def value_of(row: DataRow, field: str, column: str) -> Any:
    """The value of a field in a row; a cell of ``messages`` may be JSON."""
    return row.values.get(column) if column.lower() == field else row.nested(column)


def _column_of(task: Task, name: str, columns: Sequence[str]) -> str | None:
    """The column of a field, or None."""
    extra = task.Input.model_fields[name].json_schema_extra
    marked = extra.get("columns") if isinstance(extra, dict) else None
    others = [str(other) for other in marked] if isinstance(marked, list) else []
    found = (column_of(other, columns) for other in (name, *others))
    return next((column for column in found if column is not None), None)


def spread(task: Task, inputs: Any, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Fields given as lists become a list of inputs; without any all stays as it is.

    Args:
        task: The task.
        inputs: A text, a dict of the fields, or None.
        fields: The fields by name.

    Raises:
        InputError: The lists are not of one length, or a field is given twice.
    """
    given = {**inputs, **fields} if isinstance(inputs, Mapping) else fields
    columns = {
        name: value
        for name, value in given.items()
        if isinstance(value, list | tuple)
        and name in task.Input.model_fields
        and not _takes_list(task.Input.model_fields[name])
    }
    if not columns:
        return inputs, fields
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise InputError(
            f"The lists given for the fields have different lengths: {lengths}.",
            hint="Give lists of the same length, or a single value that all inputs share.",
        )
    every = with_fields(task, inputs, fields)
    shared = {name: value for name, value in every.items() if name not in columns}
    rows = zip(*columns.values(), strict=True)
    return [{**shared, **dict(zip(columns, row, strict=True))} for row in rows], {}


def _takes_list(field: FieldInfo) -> bool:
    """Whether a list is one value of the field."""
    kinds = [field.annotation, *get_args(field.annotation)]
    kinds += [get_args(kind)[0] for kind in kinds if get_origin(kind) is Annotated]
    return any((get_origin(kind) or kind) in (list, tuple, set, dict, Any) for kind in kinds)


def split_into_words(inputs: Any, delimiter: str) -> Any:
    """A list with the words of one input, or of several: as in transformers always a list.

    Args:
        inputs: A list of words, a list of such lists, or a stream or data set of them.
        delimiter: What stands between the words.

    Raises:
        OptionError: The input is no list of words.
    """
    if isinstance(inputs, list | tuple):
        several = inputs and all(isinstance(part, list | tuple) for part in inputs)
        return [_word_row(part, delimiter) for part in (inputs if several else [inputs])]
    if isinstance(inputs, IndexedInputs) and not isinstance(inputs, str | Mapping | np.ndarray):
        return _WordRows(inputs, delimiter)
    if isinstance(inputs, Iterator):
        return (_word_row(part, delimiter) for part in inputs)
    raise _no_words(inputs)


def _word_row(words: Any, delimiter: str) -> dict[str, Any]:
    # The letters of a text would be taken for its words.
    if isinstance(words, str | bytes | Mapping) or not isinstance(words, Iterable):
        raise _no_words(words)
    return {"words": list(words), "joined_by": delimiter}


def _no_words(given: Any) -> OptionError:
    return OptionError(
        f"The input is a {type(given).__name__}, with is_split_into_words=True.",
        hint="Give a list of words, or a list of such lists.",
    )


class _WordRows:
    """A data set of lists of words as a data set of inputs."""

    def __init__(self, rows: IndexedInputs, delimiter: str) -> None:
        self._rows, self._delimiter = rows, delimiter

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # Not by number: the numbers of a column of pandas are its index.
        return (_word_row(row, self._delimiter) for row in items_of(self._rows))

    def __getitem__(self, number: int) -> dict[str, Any]:
        return _word_row(self._rows[number], self._delimiter)

"""One row of a data file, and the values in its columns."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlplug.errors import DataError
from nlplug.json_text import parse_json

_TEXTS_APART = re.compile(r"(?<=['\"])\s++(?=['\"])")
_NUMBERS_APART = re.compile(r"(?<=[\w.])\s++(?=[\w.+-])")


def column_of(name: str, columns: Iterable[str]) -> str | None:
    """The column of a name: the one called exactly so, else the only one that differs in case.

    Args:
        name: The name that is looked for.
        columns: The names of all columns.

    Returns:
        None if there is no such column, or if several differ from the name only in case.
    """
    names = list(columns)
    if name in names:
        return name
    folded = name.strip().casefold()
    found = [other for other in names if other.strip().casefold() == folded]
    return found[0] if len(found) == 1 else None


def first_column(names: Sequence[str], columns: Iterable[str]) -> str | None:
    """The column of the first of several names that there is, and of exact names before others."""
    columns = list(columns)
    exact = (name for name in names if name in columns)
    found = (column for name in names if (column := column_of(name, columns)) is not None)
    return next(exact, None) or next(found, None)


class Columns(dict[str, Any]):
    """The values of a row; a column is found as `column_of` finds it."""

    def __contains__(self, name: object) -> bool:
        # The exact name first: rows may have thousands of columns, one for each label.
        return super().__contains__(name) or (
            isinstance(name, str) and column_of(name, self) is not None
        )

    def __missing__(self, name: str) -> Any:
        found = column_of(name, self)
        if found is None:
            raise KeyError(name)
        return self[found]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a column, or the default where there is none."""
        if super().__contains__(name):
            return self[name]
        found = column_of(name, self)
        return default if found is None else self[found]


@dataclass(slots=True)
class DataRow:
    """One row.

    Attributes:
        values: Column name → value. A column is found by its exact name, else by the same name in
            another case if only one column has it.
        source: The file.
        line: 1-based line of the file (row number for Parquet, JSON arrays and SQuAD files).
    """

    values: dict[str, Any]
    source: Path
    line: int

    def __post_init__(self) -> None:
        self.values = Columns(self.values)

    @property
    def where(self) -> str:
        """``file:line``, as errors name it."""
        return f"{self.source}:{self.line}"

    def text(
        self, column: str, *, hint: str = "name yours by --text-column.", place: str = ""
    ) -> str:
        """The text in a column.

        Args:
            column: Name of the column.
            hint: What the hint of the error says after the names of the row's columns.
            place: What the error begins with; default: ``file:line``.

        Raises:
            DataError: The column is missing, blank, or holds no text; names file and line.
        """
        column = column_of(column, self.values) or column
        value = self.values.get(column)
        if isinstance(value, str) and value.strip():
            return value
        there = column in self.values
        state = f"is {value!r}, not a text" if there else "is missing"
        advice = "Write a text there, or remove the row. " if there else ""
        raise DataError(
            f"{place or self.where}: the column {column!r} {state}.",
            hint=f"{advice}The row has {', '.join(map(repr, self.values))}; {hint}",
        )

    def nested(self, column: str) -> Any:
        """The value of a column; where it is a text that holds a list or object, that value.

        Tables have no nested values, so their cells hold JSON, or Python's notation
        (``['a', 'b']``, as pandas writes it; sets, tuples and arrays of NumPy are lists). None
        where the column is missing.
        """
        value = self.values.get(column)
        if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{", "("):
            return value
        try:
            return parse_json(value, unique_keys=True)
        except json.JSONDecodeError:
            pass
        try:
            found = ast.literal_eval(_listed(value.strip()))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return value
        if isinstance(found, set | frozenset):
            return sorted(found, key=str)
        return list(found) if isinstance(found, tuple) else found


def _listed(text: str) -> str:
    """An array of NumPy, which has no commas (``['a' 'b']``), as a list; other texts as they are.

    Python would join two texts beside each other to one.
    """
    if not text.startswith("["):
        return text
    quoted = "'" in text or '"' in text
    return (_TEXTS_APART if quoted else _NUMBERS_APART).sub(", ", text)

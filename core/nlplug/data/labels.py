"""Labels of texts as rows hold them: names, ids, several in one cell, or a column for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nlplug.data.rows import DataRow, column_of, first_column
from nlplug.errors import DataError
from nlplug.json_text import json_shown

LABEL_COLUMNS = ("label", "labels")
_SEPARATORS = ("|", ";", ",")
_DECIMAL = re.compile(r"\A(?:[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+(\.\d*)?[eE][+-]?\d+)")
_ON = frozenset({"1", "1.0", "true"})
_OFF = frozenset({"0", "0.0", "false"})


def is_id(name: str) -> bool:
    """Whether a label is a number as Python writes it: ``7``, but not ``007`` or ``+7``."""
    return name.isascii() and name.isdecimal() and str(int(name)) == name


def sorted_labels(names: Collection[str]) -> list[str]:
    """Different labels in the order of their ids: by number where all are ids, else by name."""
    if all(map(is_id, names)):
        return sorted(set(names), key=int)
    return sorted(set(names))


def label_text(value: Any) -> str:
    """One label as `label_name` gives it; empty if the value is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int):
        return str(value).lower()  # of a truth value as JSON writes it
    return ""


def label_name(value: Any, row: DataRow, column: str) -> str:
    """One label as a name: a text without white space at its ends, a whole number's digits, or
    ``true`` or ``false``.

    Raises:
        DataError: It is none of these; names file and line.
    """
    name = label_text(value)
    if name:
        return name
    raise DataError(
        f"{row.where}: the column {column!r} holds {json_shown(value)}, which is not a label.",
        hint="A label is a name or a whole number. A missing value is not a label; write the name "
        "of a label as a string.",
    )


def told_few(names: Sequence[str]) -> str:
    """At most one label, as the end of a sentence."""
    return f"only the label {names[0]!r}" if names else "no labels"


def label_index(name: str, labels: Sequence[str]) -> int | None:
    """The id of a label, by its name or else by its number; None where it is unknown.

    Where the labels themselves are all numbers, a number is a name and never an id.
    """
    if name in labels:
        return labels.index(name)
    if is_id(name) and int(name) < len(labels) and not all(map(is_id, labels)):
        return int(name)
    return None


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """How the rows of a data set write their labels.

    Attributes:
        column: Column of the label or labels; None: the first of ``label`` and ``labels``.
        several: Whether a row may have several labels.
        separator: Separator of several labels in one cell; None: a cell is one label.
        one_hot: Columns that say by 0 or 1 whether a row has the label that they are called.
    """

    column: str | None = None
    several: bool = False
    separator: str | None = None
    one_hot: tuple[str, ...] = ()

    def read(self, row: DataRow) -> list[str]:
        """The labels of a row, as names.

        Raises:
            DataError: The row has no label where it needs one, or one that is not a label.
        """
        if self.one_hot:
            return [name for name in self.one_hot if _on(row.values.get(name))]
        column = label_column(row, self.column)
        value = row.nested(column)
        if isinstance(value, str) and self.separator is not None:
            value = _parts(value, self.separator)
        if isinstance(value, list):
            _refuse_vector(value, row, column)
            return [label_name(item, row, column) for item in value]
        if value is None or value == "":
            state = "is missing" if column not in row.values else "is empty"
            raise DataError(
                f"{row.where}: the column {column!r} {state}.",
                hint=f"The row has {', '.join(map(repr, row.values))}; "
                "name yours by --label-column.",
            )
        return [label_name(value, row, column)]

    def __str__(self) -> str:
        """What the scheme is, as a phrase for a report; empty for one label per cell."""
        if self.one_hot:
            kind = "several labels" if self.several else "one label"
            return f"{kind} per row, from 0 and 1 in {', '.join(map(repr, self.one_hot))}"
        if self.separator is not None:
            return f"several labels per row, separated by {self.separator!r}"
        return "several labels per row, as lists" if self.several else ""


def _refuse_vector(values: list[Any], row: DataRow, column: str) -> None:
    """Refuse 0 and 1 for each label of a list that is not there: their ids would be 0 and 1.

    Raises:
        DataError: The list has only these numbers, and not as a list of ids would.
    """
    numbers = all(isinstance(value, int | float) and value in (0, 1) for value in values)
    if numbers and values != sorted(set(values)):
        raise DataError(
            f"{row.where}: the column {column!r} holds {values[:10]!r}, 0 or 1 for each label, and "
            "nothing says what the labels are called.",
            hint="Write the names of the labels, or a column of 0 and 1 for each of them.",
        )


def label_column(row: DataRow, column: str | None = None) -> str:
    """The column of a row's labels: the given one, else the first of ``label`` and ``labels``."""
    if column is not None:
        return column_of(column, row.values) or column
    return first_column(LABEL_COLUMNS, row.values) or "label"


def label_scheme(
    rows: Sequence[DataRow],
    *,
    column: str | None = None,
    several: bool | None = None,
    other: Collection[str] = (),
) -> LabelScheme:
    """Find out how rows write their labels.

    Several labels are lists, cells of JSON lists or Python lists, names between ``|``, or names
    between ``;`` or ``,`` where each of them occurs more than once. A ``|`` is part of a name where
    cells with it repeat, and none of what it separates is in another cell. Where there is no column
    of labels, at least two columns of nothing but 0 and 1 are labels themselves.

    Args:
        rows: All rows of the training data.
        column: Column of the labels; None: the first of ``label`` and ``labels``.
        several: Whether rows may have several labels; None: detected. False also keeps a
            separator within a label as it is.
        other: Columns that hold no labels, such as that of the text.

    Raises:
        DataError: The labels are decimal numbers, which are values to predict and no classes.
    """
    if column is None and rows and not any(map(_has_labels, rows)):
        names = _one_hot(rows, other)
        if len(names) > 1:
            counts = [sum(_on(row.values.get(name)) for name in names) for row in rows]
            found = any(count != 1 for count in counts)
            return LabelScheme(None, found if several is None else several, None, names)
    values = [row.nested(label_column(row, column)) for row in rows]
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    lists = any(isinstance(value, list) for value in values)
    if numeric_labels(values):
        raise DataError(
            f"{rows[0].where}: the labels are decimal numbers, such as {values[0]!r}.",
            hint="A classifier learns classes. Round the numbers to classes, or use a task that "
            "predicts numbers.",
        )
    separator = None if several is False else _separator(texts, certain=several is True)
    if several and separator is None:
        separator = ","
    found = lists or separator is not None
    return LabelScheme(column, found if several is None else several, separator)


def numeric_labels(values: Iterable[Any]) -> bool:
    """Whether labels are numbers to predict (regression): all are numbers, some with a fraction."""
    present = [value for value in values if value is not None and value != ""]
    texts = [repr(v) if isinstance(v, float) else str(v).strip() for v in present]
    numbers = [text for text in texts if _DECIMAL.fullmatch(text)]
    whole = [text for text in texts if re.fullmatch(r"[+-]?\d+", text)]
    fractions = any(float(text) % 1 for text in numbers)
    return bool(numbers) and fractions and len(numbers) + len(whole) == len(texts)


def row_labels(
    row: DataRow, labels: Sequence[str], *, column: str | None = None
) -> int | tuple[int, ...]:
    """The ids of a row's labels among those of a model; a tuple where the row may have several.

    Raises:
        DataError: The row has no label, or one that the model does not have; names file and line.
    """
    if column is None and not _has_labels(row):
        columns = [name for name in labels if name in row.values]
        if len(columns) > 1 and all(_is_flag(row.values[name]) for name in columns):
            return tuple(i for i, name in enumerate(labels) if _on(row.values.get(name)))
    column = label_column(row, column)
    value = row.values.get(column)
    separator = None
    if isinstance(value, str) and value.strip() not in labels:
        for mark in _SEPARATORS:
            parts = [part.strip() for part in value.split(mark)]
            if len(parts) > 1 and all(part in labels for part in parts if part):
                separator = mark
                break
        if column == "labels" and separator is None:
            separator = ","
    names = LabelScheme(column, separator=separator).read(row)
    ids = [label_index(name, labels) for name in names]
    if None in ids:
        shown = ", ".join(map(repr, labels[:20])) + (", …" if len(labels) > 20 else "")
        raise DataError(
            f"{row.where}: unknown label {names[ids.index(None)]!r}.",
            hint=f"The model's labels are {shown}, or their ids 0 to {len(labels) - 1}.",
        )
    known = [index for index in ids if index is not None]
    listed = separator is not None or isinstance(row.nested(column), list)
    return tuple(sorted(set(known))) if listed else known[0]


def _separator(texts: Collection[str], *, certain: bool) -> str | None:
    """The separator of several labels in one cell.

    Args:
        texts: All cells.
        certain: Whether it is known that a cell may have several labels.
    """
    different = Counter(text.strip() for text in texts)
    for mark in _SEPARATORS:
        joined = [text for text in different if mark in text]
        counts = Counter(part for text in different for part in _parts(text, mark))
        parts = {part for text in joined for part in _parts(text, mark)}
        if mark == "|":
            again = any(counts[part] > 1 for part in parts)
            separates = certain or again or all(different[text] == 1 for text in joined)
        else:
            separates = all(counts[part] > 1 for part in parts)
        if joined and separates:
            return mark
    return None


def _has_labels(row: DataRow) -> bool:
    return any(name in row.values for name in LABEL_COLUMNS)


def _parts(text: str, mark: str) -> list[str]:
    return [name for part in text.split(mark) if (name := part.strip())]


def _one_hot(rows: Sequence[DataRow], other: Collection[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name in rows[0].values
        if name not in other and all(_is_flag(row.values.get(name)) for row in rows)
    )


def _is_flag(value: Any) -> bool:
    return str(value).strip().lower() in _ON | _OFF


def _on(value: Any) -> bool:
    return str(value).strip().lower() in _ON

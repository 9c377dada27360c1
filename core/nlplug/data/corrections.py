"""How the answers of a family are confirmed, corrected and stored as rows of training data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from nlplug.data.rows import DataRow
from nlplug.errors import DataError, InputError

Kind = Literal["label", "spans", "answer", "text"]


class Corrections(ABC):
    """Converts between answers, the values that a person edits, and rows of data.

    Attributes:
        kind: The form of a value. ``label``: the name of a label. ``spans``: a list of
            ``{"start", "end", "label"}``. ``answer``: ``{"start", "end"}``, or None for no answer.
            ``text``: a text. Offsets count characters of the marked text.
        marked: The column with the text in which spans and answers are marked, or that is answered.
        fields: The columns of the input.
        target: The columns that can hold the value; a row without them has none yet.
    """

    kind: ClassVar[Kind]
    marked: ClassVar[str] = "text"
    fields: ClassVar[tuple[str, ...]] = ("text",)
    target: ClassVar[tuple[str, ...]]

    @property
    def labelled(self) -> bool:
        """Whether values have labels."""
        return self.kind in ("label", "spans")

    def names(self, labels: Sequence[str]) -> list[str]:
        """What a person chooses from, given the labels of a model; empty for other kinds."""
        return list(dict.fromkeys(labels)) if self.labelled else []

    @abstractmethod
    def suggestion(self, answer: Any) -> Any:
        """The value that an answer of the task proposes."""

    @abstractmethod
    def row(self, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The row for an input and its right value.

        Args:
            item: The input of the task.
            value: The value, as ``kind`` describes it.

        Raises:
            InputError: The value does not have this form, or does not fit the text.
        """

    @abstractmethod
    def value(self, row: Mapping[str, Any]) -> Any:
        """The value of a row that `row` or `rows` made."""

    @abstractmethod
    def item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The input of the task for a row."""

    @abstractmethod
    def rows(self, rows: Sequence[DataRow]) -> list[dict[str, Any]]:
        """Rows of a file, in the columns that `row` writes.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

    @abstractmethod
    def uncertainty(self, answer: Any) -> float:
        """How uncertain an answer is, from 0 to 1."""

    def open_row(self, row: DataRow) -> dict[str, Any]:
        """A row of a file that has no value yet, with the columns of the input alone.

        Raises:
            DataError: The text is missing; the message names file and line.
        """
        for name in self.fields:
            if name not in row.values:
                row.text(name, hint="rename yours.")
        try:
            self.item(row.values)
        except InputError as error:
            raise DataError(f"{row.where}: {error.message}", hint=error.hint) from None
        return {name: row.values[name] for name in self.fields}

    def has_value(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of a file has a value in one of the columns of ``target``."""
        return any(row.get(name) not in (None, "") for name in self.target)


def text_value(item: Mapping[str, Any], name: str) -> str:
    """A field of an input that must hold a text.

    Raises:
        InputError: It holds none.
    """
    value = item.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"{name!r} is {value!r}, which is not a text.", hint="Give the text of the row."
        )
    return value


def span_of(value: Any, text: str) -> tuple[int, int]:
    """Start and end of a value with both, checked against the text.

    Raises:
        InputError: The value has another form, or the span contains no text.
    """
    start, end = (value.get(n) if isinstance(value, Mapping) else None for n in ("start", "end"))
    if type(start) is not int or type(end) is not int:
        raise InputError(
            f"{value!r} is not a span.", hint='A span looks like {"start": 0, "end": 6}.'
        )
    if not 0 <= start < end <= len(text) or not text[start:end].strip():
        raise InputError(
            f"The span {start} to {end} contains no text.",
            hint=f"Offsets count characters from 0; the text has {len(text)}.",
        )
    return start, end

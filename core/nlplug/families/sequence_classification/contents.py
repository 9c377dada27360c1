"""Texts with labels: how a file writes them, and which labels a model of them has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from nlplug.data.contents import Content, Contents
from nlplug.data.labels import (
    LabelScheme,
    label_column,
    label_index,
    label_scheme,
    sorted_labels,
    told_few,
)
from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.families.sequence_classification.task import fixed_labels

if TYPE_CHECKING:
    from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
    from nlplug.task import Task


PAIR = "text_pair"
"""The column of a second text, which models answer and which no training here reads."""


class LabelledTexts(Contents):
    """Rows with a text and its label or labels.

    Attributes:
        labels: The labels by id: those of the settings, else those of the task if all labels of
            the data are among them, else those of the data in sorted order.
        scheme: How the rows write their labels.
    """

    config: SequenceClassificationConfig

    def __init__(self, task: Task, config: SequenceClassificationConfig) -> None:
        super().__init__(task, config)
        self.labels: list[str] = list(config.labels)
        self.scheme = LabelScheme(config.label_column, bool(config.multi_label))

    @property
    def labelling(self) -> str:
        return str(self.scheme)

    def fit(self, rows: Sequence[DataRow]) -> None:
        paired = next((row for row in rows if row.values.get(PAIR)), None)
        if paired is not None:
            raise DataError(
                f"{paired.where}: the row has a second text ({PAIR!r}), which training does not "
                "read.",
                hint="Join both texts in the text column, in training and in use, or leave the "
                "column out.",
            )
        self.scheme = label_scheme(
            rows,
            column=self.config.label_column,
            several=self.config.multi_label,
            other=(self.config.text_column, self.config.soft_column),
        )
        if not self.labels:
            self.labels = self._labels_of({name for row in rows for name in self.scheme.read(row)})
        if len(self.labels) < 2 and not self.scheme.several:
            raise DataError(
                f"The training data has {told_few(self.labels)}.",
                hint="A classifier needs at least two labels; check --label-column.",
            )

    def key(self, row: DataRow) -> str:
        return row.text(self.config.text_column)

    def content(self, row: DataRow) -> Content:
        text = self.key(row)
        names = tuple(self.labels[index] for index in self.ids(row))
        used = [("text", self.config.text_column)]
        if not self.scheme.one_hot:
            used.append(("label", label_column(row, self.scheme.column)))
        return Content(text, ", ".join(names), names, tuple(used))

    def ids(self, row: DataRow) -> tuple[int, ...]:
        """The ids of the labels of a row, in order.

        Raises:
            DataError: An unknown label, or not one label where one is expected.
        """
        names = self.scheme.read(row)
        if len(names) != 1 and not self.scheme.several:
            raise DataError(
                f"{row.where}: the row has {len(names)} labels, but one is expected.",
                hint="Set --multi-label true if a text may have several labels.",
            )
        return tuple(sorted({self._id(name, row) for name in names}))

    def _labels_of(self, seen: Collection[str]) -> list[str]:
        own = fixed_labels(self.task) if self.task is not None else []
        if own and all(label_index(name, own) is not None for name in seen):
            return own
        return sorted_labels(seen)

    def _id(self, name: str, row: DataRow) -> int:
        found = label_index(name, self.labels)
        if found is None:
            shown = ", ".join(map(repr, self.labels[:10])) + ("…" if len(self.labels) > 10 else "")
            raise DataError(
                f"{row.where}: unknown label {name!r}.",
                hint=f"The labels are {shown}; give others by --labels.",
            )
        return found

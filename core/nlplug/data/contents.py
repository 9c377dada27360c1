"""What a row of a data file holds, as a family of tasks sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlplug.data.rows import DataRow

if TYPE_CHECKING:
    from nlplug.task import Task


@dataclass(frozen=True, slots=True)
class Content:
    """One row.

    Attributes:
        text: What the model reads.
        answer: The right answer as a text; None if a text may have several right answers.
        labels: The labels to count.
        columns: Field of the task → column that fills it.
        spans: First character, and the one after the last, of each part of the text with a label.
    """

    text: str
    answer: str | None = None
    labels: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


class Contents(ABC):
    """Reads the rows of a family's data; imports nothing that trains.

    Args:
        task: The task; None for training from scratch.
        config: The settings of a training run, of the class that the family's record names.
    """

    def __init__(self, task: Task | None, config: Any) -> None:
        self.task = task
        self.config = config

    @property
    def labelling(self) -> str:
        """How the labels are written, as the end of "The labels are"; empty: one in a cell."""
        return ""

    def fit(self, rows: Sequence[DataRow]) -> None:  # noqa: B027 - most families learn nothing here
        """Learn from the training rows how they are written.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

    @abstractmethod
    def key(self, row: DataRow) -> str:
        """The text whose hash assigns the row to training or to held-out data.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

    @abstractmethod
    def content(self, row: DataRow) -> Content:
        """What a row holds.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

"""What training needs to know of a task family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nlplug.data.rows import DataRow

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch.utils.data import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig

Example = Any
"""One checked row, of whatever type the recipe likes."""


class Recipe(ABC):
    """How a family of tasks turns rows into tensors, a loss and a score.

    Args:
        task: The task that is trained.
        config: The run's settings.
    """

    metric: ClassVar[str]
    """The score that picks the best checkpoint."""

    higher_is_better: ClassVar[bool] = True
    """Whether more of ``metric`` is better."""

    def __init__(self, task: Task, config: TrainConfig) -> None:
        self.task = task
        self.config = config

    @abstractmethod
    def key(self, row: DataRow) -> str:
        """The text whose hash decides on which side of a held-out split the row falls."""

    @abstractmethod
    def fit(self, rows: Sequence[DataRow]) -> None:
        """Learn from the training rows what the model's shape needs (its labels).

        Raises:
            DataError: A row that cannot be used; the message names file and line.
        """

    @abstractmethod
    def examples(self, rows: Iterable[DataRow]) -> list[Example]:
        """Check rows.

        Raises:
            DataError: A row that cannot be used; the message names file and line.
        """

    @abstractmethod
    def row(self, example: Example) -> dict[str, Any]:
        """An example as a row of a data file, as the task's evaluation reads it."""

    @abstractmethod
    def model(self) -> PreTrainedModel:
        """The model, with weights from ``config.base`` and a fresh head where it has none."""

    @abstractmethod
    def dataset(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, *, training: bool
    ) -> Dataset[Any]:
        """Examples as features, with ``lengths()`` in tokens.

        One with a ``set_epoch(int)`` is told each epoch's number.
        """

    @abstractmethod
    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        """One padded batch."""

    def predictions(self, outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What ``score`` gets of a model's outputs; the first axis is the batch.

        Further axes may differ between batches: they are filled up with -100.
        """
        return outputs["logits"]

    def evaluated(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """What ``score`` gets of a batch, as ``predictions``; for a score that needs the labels."""
        return self.predictions(outputs)

    @abstractmethod
    def loss(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, *, training: bool
    ) -> torch.Tensor:
        """The loss of one batch, averaged over its rows (a scalar)."""

    def options(self, checkpoint: Path) -> dict[str, Any]:
        """Options of the task whose default the trained model wants otherwise.

        Args:
            checkpoint: The finished model.
        """
        return {}

    @abstractmethod
    def score(self, logits: np.ndarray, dataset: Dataset[Any]) -> dict[str, float]:
        """Scores of an evaluation; ``metric`` is among them.

        Args:
            logits: What the model gave for each of the dataset's items, in their order.
            dataset: The evaluation set, as ``dataset(..., training=False)`` made it.
        """

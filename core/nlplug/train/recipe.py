"""What training needs to know of a family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.rows import DataRow
from nlplug.families.family import load

if TYPE_CHECKING:
    import torch
    from torch.utils.data import Dataset
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.evaluation.base import Evaluation
    from nlplug.task import Task
    from nlplug.train.config import TrainConfig

Example = Any
"""One checked row, of whatever type the recipe likes."""
Evaluator = Callable[[Any], dict[str, float]]
"""Scores a model (a ``transformers.PreTrainedModel``) in the middle of its training."""


class Recipe(ABC):
    """How a family turns rows into tensors, a loss and scores.

    Args:
        task: The task that is trained.
        config: The settings of the run.
    """

    config: TrainConfig

    def __init__(self, task: Task, config: TrainConfig) -> None:
        self.task = task
        self.config = config

    @property
    def metric(self) -> str:
        """The score that picks the best checkpoint: the main metric of the family's scoring."""
        return self._scoring().metric

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher ``metric`` is better."""
        return self._scoring().higher_is_better

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
        """An example as a row of a data file, as the family's scoring reads it."""

    @abstractmethod
    def model(self) -> PreTrainedModel:
        """The model, with weights from ``config.base`` and a fresh head where it has none."""

    @abstractmethod
    def dataset(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Dataset[Any]:
        """Training examples as features, with ``lengths()`` in tokens.

        If it has ``set_epoch(int)``, that is called with the number of each epoch.
        """

    @abstractmethod
    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        """One padded batch."""

    @abstractmethod
    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of one training batch, averaged over its rows (a scalar)."""

    def options(self, config: PretrainedConfig) -> dict[str, Any]:
        """Options of the task for which the trained model has a default of its own.

        Args:
            config: Of the model.
        """
        return {}

    def evaluator(
        self, file: Path, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Evaluator:
        """Scores the model as ``nlplug evaluate`` will score its bundle.

        Args:
            file: The evaluation rows, as `row` made them.
            examples: The same rows as examples.
            tokenizer: The tokenizer of the base.
        """
        from nlplug.train.served import ServedEvaluation

        return ServedEvaluation(self.task, file, tokenizer, self.config.window, self.options)

    def _scoring(self) -> type[Evaluation]:
        found: type[Evaluation] = load(self.task.family.scoring)
        return found

"""The recipe of a family: the interface that the training loop uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.rows import DataRow
from nlplug.evaluation.base import evaluation_of
from nlplug.families.family import load

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.evaluation.base import Evaluation
    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.training_set import TrainingSet

Example = Any
"""One validated row, of a type that the recipe defines."""
Evaluator = Callable[[Any], dict[str, float]]
"""Evaluates a model (a ``transformers.PreTrainedModel``) during training."""


class Recipe(ABC):
    """Converts rows to tensors, and computes loss and scores.

    Args:
        task: The task.
        config: The settings of the run.
    """

    config: TrainConfig

    def __init__(self, task: Task, config: TrainConfig) -> None:
        self.task = task
        self.config = config

    @property
    def metric(self) -> str:
        """The score that selects the best checkpoint: the main metric of the family's scoring."""
        return self._scoring().metric

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher ``metric`` is better."""
        return self._scoring().higher_is_better

    @property
    def probes(self) -> bool:
        """Whether to fit a linear probe before fine-tuning.

        `loss` must then need nothing but ``logits``, and a linear layer must compute them.
        """
        return False

    @property
    def reads_vectors(self) -> bool:
        """Whether `loss` also reads ``vectors`` in training: the inputs of the output layer."""
        return False

    @property
    def refits(self) -> bool:
        """Whether `loss` trains the vectors alone, and the output layer is fitted afterwards."""
        return False

    @abstractmethod
    def key(self, row: DataRow) -> str:
        """The text whose hash assigns the row to training or to held-out data."""

    @abstractmethod
    def fit(self, rows: Sequence[DataRow]) -> None:
        """Read from the training rows what defines the shape of the model, such as the labels.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

    @abstractmethod
    def examples(self, rows: Iterable[DataRow]) -> list[Example]:
        """Validate rows.

        Raises:
            DataError: A row cannot be used; the message names file and line.
        """

    def stratum(self, example: Example) -> str:
        """What the folds of a cross-validation are to have in equal shares, such as the label."""
        return ""

    @abstractmethod
    def row(self, example: Example) -> dict[str, Any]:
        """An example as a row of a data file for the family's scoring."""

    @abstractmethod
    def model(self) -> PreTrainedModel:
        """The model with the weights of ``config.base``, and a new head if the base has none."""

    @abstractmethod
    def dataset(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> TrainingSet:
        """Training examples as features."""

    @abstractmethod
    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        """One padded batch."""

    @abstractmethod
    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The loss of one training batch, averaged over its rows (a scalar)."""

    def narrowed(
        self, model: torch.nn.Module, labels: torch.Tensor
    ) -> AbstractContextManager[object]:
        """While entered, the model may leave out what the loss of a training batch does not read.

        Args:
            model: The model that is trained.
            labels: The labels of the batch.
        """
        return nullcontext()

    def taught(self, examples: Sequence[Example], texts: Iterable[DataRow]) -> list[Example]:
        """The training examples with the answers of ``config.teacher``.

        Only for families whose record has ``distils``.

        Args:
            examples: The training examples.
            texts: Rows without labels; the result has an example for each.

        Raises:
            TrainingError: The labels of the teacher are others than those of the rows.
            NlplugError: The teacher cannot be loaded, or cannot answer a text.
        """
        raise NotImplementedError

    def calibrate(
        self,
        model: PreTrainedModel,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerBase,
    ) -> dict[str, float]:
        """Change the finished model so that its scores are probabilities; by default, do nothing.

        Args:
            model: The model with its final weights.
            examples: The evaluation examples.
            tokenizer: The tokenizer of the base.

        Returns:
            What was changed, for the record of the run; empty if the model is as before.
        """
        return {}

    def options(self, config: PretrainedConfig) -> dict[str, Any]:
        """Defaults of task options that the trained model sets.

        Args:
            config: The config of the model.
        """
        return {}

    def evaluator(
        self, file: Path, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Evaluator:
        """A function that scores the model as ``nlplug evaluate`` scores its bundle.

        Args:
            file: The evaluation rows, made by `row`.
            examples: The same rows as examples.
            tokenizer: The tokenizer of the base.
        """
        from nlplug.train.served import ServedEvaluation

        return ServedEvaluation(self.task, file, tokenizer, self.config.window, self.options)

    def trivial_scores(self, config: PretrainedConfig, file: Path) -> dict[str, float]:
        """The scores of trivial answers to some rows, by name.

        Args:
            config: The config of the model, with its labels.
            file: The rows, made by `row`.
        """
        labels = [config.id2label[index] for index in range(len(config.id2label))]
        evaluation = evaluation_of(self.task, labels)
        if evaluation.metric != self.metric:
            return {}
        return evaluation.baselines([sample.target for sample in evaluation.samples(file)])

    def _scoring(self) -> type[Evaluation]:
        found: type[Evaluation] = load(self.task.family.scoring)
        return found

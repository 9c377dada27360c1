"""Base classes of language model recipes: tokenizer training, and evaluation by the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.utils.data import DataLoader

from nlplug.train.checkpoint import load_base
from nlplug.train.documents import token_loss
from nlplug.train.recipe import Evaluator, Example, Recipe
from nlplug.train.served import in_evaluation
from nlplug.train.training_set import TrainingSet

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind


class LanguageRecipe(Recipe):
    """A recipe that does not need a task, for training from scratch.

    Args:
        task: The task, or None.
        config: The settings of the run.
    """

    metric: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    def __init__(self, task: Task | None, config: TrainConfig) -> None:
        if task is not None:
            self.task = task
        self.config = config

    @abstractmethod
    def train_tokenizer(
        self, examples: Sequence[Example], *, kind: Kind | None, size: int
    ) -> PreTrainedTokenizerBase:
        """Train a tokenizer on the examples, with the special tokens that the model needs.

        Args:
            examples: The training examples.
            kind: Model of the tokenizer; None: the usual one of the family.
            size: Vocabulary size, special tokens included.

        Raises:
            TrainingError: The vocabulary is too small.
        """

    def load(self, auto_class: Any) -> PreTrainedModel:
        """The model of ``config.base``; see `load_base`."""
        # On a CPU, training with PyTorch's fast attention takes a third more time.
        cuda = self.config.device != "cpu" and torch.cuda.is_available()
        return load_base(self.config, auto_class, attention=None if cuda else "eager")

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """See `Recipe.loss`: the mean cross entropy per token."""
        return token_loss(outputs["logits"], labels, self.config.label_smoothing)

    def trivial_scores(self, config: PretrainedConfig, file: Path) -> dict[str, float]:
        """See `Recipe.trivial_scores`: no text is a trivial answer."""
        return {}

    @classmethod
    @abstractmethod
    def new_model(
        cls, config: PretrainConfig, size: int, tokenizer: PreTrainedTokenizerBase
    ) -> PreTrainedModel:
        """A new model with random weights from torch's generator.

        Args:
            config: The settings, of the class in the family's record.
            size: Number of rows of the embedding.
            tokenizer: The tokenizer of the model.
        """


class LossRecipe(LanguageRecipe):
    """A language model that is evaluated by sums over the tokens of held-out examples."""

    @abstractmethod
    def held_out(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> TrainingSet:
        """Evaluation examples as features, the same at each evaluation."""

    @abstractmethod
    def sums(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """The values to sum over all batches, shape (rows, values)."""

    @abstractmethod
    def scores(self, sums: Sequence[float], dataset: TrainingSet, model: Any) -> dict[str, float]:
        """The scores, including ``metric``, from the sums over all rows."""

    def evaluator(
        self, file: Path, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Evaluator:
        """See `Recipe.evaluator`; scores the loss of the examples."""
        dataset = self.held_out(examples, tokenizer)
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            collate_fn=lambda features: self.collate(features, tokenizer),
        )

        def evaluate(model: Any) -> dict[str, float]:
            total: Any = 0.0
            with in_evaluation(model), torch.inference_mode():
                for batch in loader:
                    placed = {name: value.to(model.device) for name, value in batch.items()}
                    labels = placed.pop("labels")
                    total += self.sums(model(**placed), labels).double().sum(0)
                return self.scores(total.tolist(), dataset, model)

        return evaluate


def special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """The ids of the padding, start and end tokens, as entries of a model's config."""
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }

"""What recipes of language models share: a tokenizer learnt from texts, and scores by the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.utils.data import DataLoader, Dataset

from nlplug.train.recipe import Evaluator, Example, Recipe
from nlplug.train.served import in_evaluation

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind


class LanguageRecipe(Recipe):
    """A recipe that needs nothing of the task, so that a model can be trained before there is one.

    Args:
        task: The task that is trained, if there is one.
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
        """A tokenizer of the examples' texts, with the special tokens that the model needs.

        Args:
            examples: The training examples.
            kind: How it cuts words; None: as is usual for the model.
            size: Tokens in the vocabulary, special ones included.

        Raises:
            TrainingError: The vocabulary is smaller than what it has to hold.
        """

    @classmethod
    @abstractmethod
    def new_model(
        cls, config: PretrainConfig, size: int, tokenizer: PreTrainedTokenizerBase
    ) -> PreTrainedModel:
        """A model of the shape that the settings tell, its weights drawn from torch's generator.

        Args:
            config: The settings, of the class that the family's record names.
            size: Rows of the embedding.
            tokenizer: Of the model.
        """


class LossRecipe(LanguageRecipe):
    """A language model that is scored by sums over the tokens of held-out examples."""

    @abstractmethod
    def held_out(
        self, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Dataset[Any]:
        """Evaluation examples as features, the same at each evaluation."""

    @abstractmethod
    def sums(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """What is summed up over all batches: shape (rows, numbers)."""

    @abstractmethod
    def scores(self, sums: Sequence[float], dataset: Dataset[Any], model: Any) -> dict[str, float]:
        """The scores, ``metric`` among them, from the sums over all rows."""

    def evaluator(
        self, file: Path, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
    ) -> Evaluator:
        """See `Recipe.evaluator`: by the loss of the examples."""
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
    """The ids of padding, beginning and end, as a model's config has them."""
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }

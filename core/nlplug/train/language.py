"""What recipes of language models have beyond others: a tokenizer that is learnt from texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig

from nlplug.data.readers import DataRow
from nlplug.errors import DataError
from nlplug.train.dropout import set_dropout
from nlplug.train.recipe import Example, Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.vocabulary import Kind


class LanguageRecipe(Recipe):
    """A recipe that needs nothing of the task, so that a model can be trained before there is one.

    Args:
        task: The task that is trained, if there is one.
        config: The run's settings.
    """

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

    def load(self, kind: Any) -> PreTrainedModel:
        """The weights of ``config.base``, as one of transformers' automatic classes reads them."""
        config = AutoConfig.from_pretrained(self.config.base)
        if self.config.dropout is not None:
            set_dropout(config, self.config.dropout)
        # On a CPU torch's own attention takes a third longer, most of all for its gradient.
        cuda = self.config.device != "cpu" and torch.cuda.is_available()
        chosen = {} if cuda else {"attn_implementation": "eager"}
        model: PreTrainedModel = kind.from_pretrained(self.config.base, config=config, **chosen)
        return model


def text_of(row: DataRow, column: str, *, otherwise: str = "") -> str:
    """The text in a column of a row.

    Args:
        row: The row.
        column: The column's name.
        otherwise: What a row may have instead, for the hint.

    Raises:
        DataError: There is none; the message names file and line.
    """
    value = row.values.get(column)
    if not isinstance(value, str) or not value.strip():
        state = "is missing" if column not in row.values else f"is {value!r}, not a text"
        raise DataError(
            f"{row.where}: the column {column!r} {state}.",
            hint=f"The row has {', '.join(map(repr, row.values))}; a row has a text{otherwise}. "
            "Give the column of the text by --text-column.",
        )
    return value

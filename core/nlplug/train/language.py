"""What recipes of language models have beyond others: texts that a tokenizer can learn from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nlplug.train.recipe import Example, Recipe

if TYPE_CHECKING:
    from nlplug.task import Task
    from nlplug.train.config import TrainConfig


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
    def texts(self, examples: Sequence[Example]) -> Iterator[str]:
        """All texts that the model reads or writes."""

    def special_tokens(self) -> list[str]:
        """Tokens that a tokenizer for this data has besides the usual ones."""
        return []

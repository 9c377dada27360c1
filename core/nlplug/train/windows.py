"""Token windows of texts for training; from a long text each epoch takes a different window."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nlplug.train.documents import token_ids
from nlplug.train.training_set import TrainingSet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextFrame:
    """The special tokens that a tokenizer puts around a text.

    Attributes:
        before: Number of special tokens before the text.
        size: Number of all special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        sample = tokenizer("a", return_special_tokens_mask=True, return_token_type_ids=True)
        special = sample["special_tokens_mask"]
        first = special.index(0) if 0 in special else len(special)
        last = len(special) - special[::-1].index(0) if 0 in special else first
        self._head, self._tail = sample["input_ids"][:first], sample["input_ids"][last:]
        self._kinds = sample["token_type_ids"]
        # Only some models have token types as an input.
        self._typed = "token_type_ids" in tokenizer.model_input_names
        self.before = first
        self.size = len(self._head) + len(self._tail)

    def ids(self, text: list[int]) -> list[int]:
        """The tokens of a text with the special tokens around them."""
        return [*self._head, *text, *self._tail]

    def join(self, text: list[int]) -> dict[str, list[int]]:
        """The model's input for the tokens of a text."""
        ids = self.ids(text)
        item = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if self._typed:
            item["token_type_ids"] = [self._kinds[0]] * len(ids)
        return item


class WindowedTexts(TrainingSet):
    """Tokenized texts with their targets.

    An item is a text. From a text longer than ``max_length``, each epoch takes a different window.
    The windows depend only on the seed, so a resumed run sees the same as an uninterrupted run.

    Args:
        texts: The texts.
        targets: One array per text.
        tokenizer: A fast tokenizer.
        max_length: Maximum length in tokens, special tokens included.
        seed: Random seed of the windows.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Sequence[np.ndarray],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int,
    ) -> None:
        self._frame = TextFrame(tokenizer)
        self._room = max_length - self._frame.size
        self._seed = seed
        self._epoch = 0
        self._targets = list(targets)
        self._ids = list(token_ids(texts, tokenizer))

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.features(index, self.begin(index)), "labels": self._targets[index]}

    def begin(self, index: int) -> int:
        """The first token of the window in this epoch."""
        spare = len(self._ids[index]) - self._room
        if spare <= 0:
            return 0
        return random.Random(f"{self._seed}/{self._epoch}/{index}").randint(0, spare)

    def features(self, index: int, begin: int) -> dict[str, Any]:
        """The window that begins at a token, with special tokens around it."""
        return self._frame.join(self._ids[index][begin : begin + self._room].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the windows."""
        self._epoch = epoch

    def lengths(self) -> list[int]:
        """Number of tokens of each item without special tokens, for grouping by length."""
        return [min(len(ids), self._room) for ids in self._ids]


def stacked(
    features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    """A padded batch of items whose ``labels`` are arrays of the same shape."""
    inputs = [{k: v for k, v in item.items() if k != "labels"} for item in features]
    batch: dict[str, torch.Tensor] = dict(tokenizer.pad(inputs, return_tensors="pt"))
    batch["labels"] = torch.tensor(np.stack([item["labels"] for item in features]))
    return batch

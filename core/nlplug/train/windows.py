"""Texts as token windows: a random one an epoch in training, overlapping ones in evaluation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextFrame:
    """What a tokenizer puts around a text, learned from an example.

    Attributes:
        before: How many special tokens come before the text.
        size: How many there are in all.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        sample = tokenizer("a", return_special_tokens_mask=True, return_token_type_ids=True)
        special = sample["special_tokens_mask"]
        first = special.index(0) if 0 in special else len(special)
        last = len(special) - special[::-1].index(0) if 0 in special else first
        self._head, self._tail = sample["input_ids"][:first], sample["input_ids"][last:]
        self._kinds = sample["token_type_ids"]
        # Token types are a part of the input only where the model asks for them.
        self._typed = "token_type_ids" in tokenizer.model_input_names
        self.before = first
        self.size = len(self._head) + len(self._tail)

    def ids(self, text: list[int]) -> list[int]:
        """A text's tokens with the special ones around them."""
        return [*self._head, *text, *self._tail]

    def join(self, text: list[int]) -> dict[str, list[int]]:
        """The model's input for a text's tokens."""
        ids = self.ids(text)
        item = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if self._typed:
            item["token_type_ids"] = [self._kinds[0]] * len(ids)
        return item


class WindowedTexts(Dataset[dict[str, Any]]):
    """Tokenized texts with their targets.

    In training an item is a text; of one longer than ``max_length`` each epoch takes another
    window, the same for the same seed, so that a resumed run sees what the killed one would have.
    In evaluation an item is a window, and ``merge`` averages a text's logits over its windows.

    Args:
        texts: The texts.
        targets: One array a text, all of one shape.
        tokenizer: A fast tokenizer.
        max_length: Window in tokens, special tokens included.
        seed: Seed of the windows; None for evaluation.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Sequence[np.ndarray],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int | None,
    ) -> None:
        self._frame = TextFrame(tokenizer)
        self._room = max_length - self._frame.size
        self._seed = seed
        self._epoch = 0
        self._targets = list(targets)
        encoded: list[list[int]] = []
        for start in range(0, len(texts), 1000):  # in parts, so that memory stays flat
            part = list(texts[start : start + 1000])
            encoded += tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]
        self._ids = [np.array(ids, dtype=np.int32) for ids in encoded]
        if seed is None:
            self._items = [
                (owner, begin) for owner in range(len(texts)) for begin in self._begins(owner)
            ]
            # Batches follow this order: like lengths together, as padding costs time.
            self._items.sort(key=lambda item: min(len(self._ids[item[0]]), self._room))
        else:
            self._items = [(owner, 0) for owner in range(len(texts))]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        owner, begin = self.window(index)
        return {**self.features(owner, begin), "labels": self._targets[owner]}

    def window(self, index: int) -> tuple[int, int]:
        """Which text an item is cut from, and its first token; in training, for this epoch."""
        owner, begin = self._items[index]
        ids = self._ids[owner]
        if self._seed is not None and len(ids) > self._room:
            chance = random.Random(f"{self._seed}/{self._epoch}/{owner}")
            begin = chance.randint(0, len(ids) - self._room)
        return owner, begin

    def features(self, owner: int, begin: int) -> dict[str, Any]:
        """The window of a text that begins with a token, with special tokens around it."""
        return self._frame.join(self._ids[owner][begin : begin + self._room].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Turn to the windows of this epoch."""
        self._epoch = epoch

    def lengths(self) -> list[int]:
        """Tokens of each item, without special ones, for grouping by length."""
        return [min(len(self._ids[owner]) - begin, self._room) for owner, begin in self._items]

    def merge(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and targets by text, from the logits of all items in their order."""
        owners = np.array([owner for owner, _ in self._items])
        total = np.zeros((len(self._targets), *logits.shape[1:]))
        np.add.at(total, owners, logits)
        share = np.bincount(owners, minlength=len(self._targets))[:, None]
        return total / share, np.stack(self._targets)

    def _begins(self, owner: int) -> list[int]:
        length = len(self._ids[owner])
        if length <= self._room:
            return [0]
        step = max(1, self._room * 3 // 4)
        begins = list(range(0, length - self._room, step))
        return [*begins, length - self._room]

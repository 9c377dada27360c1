"""Pairs of a source and its target as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from nlplug.data.pairs import Pair, language_token
from nlplug.errors import TrainingError
from nlplug.train.documents import token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TokenizedPairs(Dataset[dict[str, Any]]):
    """Pairs as tokens; what is longer than ``length`` is cut, its end stays.

    Attributes:
        pairs: The pairs in the items' order: as given for training, else by length.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        tokenizer: PreTrainedTokenizerBase,
        *,
        length: int,
        mark: bool,
        training: bool,
    ) -> None:
        end = tokenizer.eos_token_id
        if end is None:
            raise TrainingError(
                "The tokenizer of the base has no token that ends a text.",
                hint="Set eos_token in its tokenizer_config.json.",
            )
        sources = token_ids([pair.source for pair in pairs], tokenizer)
        targets = token_ids([pair.target for pair in pairs], tokenizer)
        marks = _marks({pair.language for pair in pairs}, tokenizer) if mark else {}
        self.pairs = list(pairs)
        self._ids: list[tuple[np.ndarray, np.ndarray]] = []
        for pair, source, target in zip(pairs, sources, targets, strict=True):
            begun = [*marks.get(pair.language, []), *source]
            framed = [*begun[: length - 1], end], [*target[: length - 1], end]
            self._ids.append((np.array(framed[0], np.int32), np.array(framed[1], np.int32)))
        if not training:
            order = sorted(range(len(pairs)), key=self.lengths().__getitem__)
            self.pairs = [self.pairs[index] for index in order]
            self._ids = [self._ids[index] for index in order]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        source, target = self._ids[index]
        return {"input_ids": source, "labels": target}

    def lengths(self) -> list[int]:
        """Tokens of each item, both sides together."""
        return [len(source) + len(target) for source, target in self._ids]


def _marks(languages: set[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Tokens of the target languages' marks; of a tokenizer that lacks one, its pieces."""
    return {
        language: list(tokenizer(language_token(language), add_special_tokens=False)["input_ids"])
        for language in sorted(languages)
    }

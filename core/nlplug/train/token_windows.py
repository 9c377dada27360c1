"""Texts as token windows with a label a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.train.windows import WindowedTexts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from nlplug.data.tags import Span

IGNORED = -100
"""Label of tokens that take no part in the loss, such as special ones."""
_BEGIN, _INSIDE = 0, 1
_PART = 1000


class WindowedTokens(WindowedTexts):
    """`WindowedTexts` whose targets are the labels of the tokens.

    Args:
        texts: The texts.
        labels: For each text the labels of its tokens, one array each.
        tokenizer: A fast tokenizer.
        max_length: Window in tokens, special tokens included.
        seed: Seed of the windows; None for evaluation.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[np.ndarray],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int | None,
    ) -> None:
        super().__init__(texts, labels, tokenizer, max_length=max_length, seed=seed)
        self._before = self._frame.before

    def __getitem__(self, index: int) -> dict[str, Any]:
        owner, begin = self.window(index)
        item = self.features(owner, begin)
        labels = self._targets[owner][begin : begin + self._room]
        row = np.full(len(item["input_ids"]), IGNORED, dtype=np.int64)
        row[self._before : self._before + len(labels)] = labels
        return {**item, "labels": row}

    def merge(self, logits: np.ndarray) -> tuple[Any, Any]:
        """Predictions and targets by text, from predicted labels of all items in their order.

        Args:
            logits: Label ids of shape (items, tokens), padded on the right.

        Returns:
            Two lists with an array a text: of windows that overlap, a token is taken from the one
            in which it stands further from an edge.
        """
        merged = [np.full(len(ids), IGNORED, dtype=np.int64) for ids in self._ids]
        context = [np.full(len(ids), -1, dtype=np.int64) for ids in self._ids]
        for (owner, begin), row in zip(self._items, logits, strict=True):
            count = min(len(self._ids[owner]) - begin, self._room)
            part = slice(begin, begin + count)
            here = np.minimum(np.arange(count), np.arange(count)[::-1])
            if begin == 0:  # no edge but that of the text itself
                here = np.arange(count)[::-1]
            better = here > context[owner][part]
            values = row[self._before : self._before + count]
            merged[owner][part] = np.where(better, values, merged[owner][part])
            context[owner][part] = np.maximum(here, context[owner][part])
        return merged, self._targets


def token_roles(
    texts: Sequence[str], spans: Sequence[Sequence[Span]], tokenizer: PreTrainedTokenizerBase
) -> list[list[tuple[int, int]]]:
    """Which span each token is in, and as what, going by characters.

    Returns:
        For each text, for each of its tokens (no special ones): the number of the span or -1, and
        0 where the token is the span's first, 1 where it is a further one. A token across the
        edge of a span is in it.
    """
    roles: list[list[tuple[int, int]]] = []
    for start in range(0, len(texts), _PART):  # in parts, so that memory stays flat
        part = slice(start, start + _PART)
        offsets = tokenizer(
            list(texts[part]), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        for text, marked, places in zip(texts[part], spans[part], offsets, strict=True):
            roles.append(_roles(text, marked, places))
    return roles


def _roles(
    text: str, spans: Sequence[Span], places: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at, begun = 0, -1
    for start, end in places:
        while start < end and text[start].isspace():  # some tokenizers count the space before
            start += 1
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        if at == len(spans):
            found.append((-1, _INSIDE))
            continue
        # A token of no width is in a span that goes on around it, and never its first.
        inside = spans[at][0] < end if start < end else spans[at][0] < start and begun == at
        if not inside:
            found.append((-1, _INSIDE))
            continue
        found.append((at, _INSIDE if begun == at else _BEGIN))
        begun = at
    return found

"""The words of an input that is given as words, among the tokens of its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def word_numbers(words: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The number of the word that each token is in.

    Args:
        words: (words, 2) first character of each word and the one after its last.
        starts: (tokens,) first character of each token.

    Returns:
        (tokens,) of float32.
    """
    places = np.searchsorted(words[:, 0], starts, side="right") - 1
    return np.maximum(places, 0).astype(np.float32)


def first_tokens(words: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The first token that has characters of each word, or -1.

    Args:
        words: (words, 2) first character of each word and the one after its last.
        starts: (tokens,) first character of each token.
        ends: (tokens,) the character after the last of each token.
    """
    full = np.flatnonzero(starts < ends)
    if not len(full):
        return np.full(len(words), -1)
    places = np.searchsorted(ends[full], words[:, 0], side="right")
    inside = places < len(full)
    found = full[np.minimum(places, len(full) - 1)]
    return np.where(inside & (starts[found] < words[:, 1]), found, -1)


def covered(entity: Mapping[str, Any], words: np.ndarray) -> list[int]:
    """The indices of the words that an entity has characters of."""
    inside = (words[:, 0] < entity["end"]) & (words[:, 1] > entity["start"])
    found: list[int] = np.flatnonzero(inside).tolist()
    return found


def moved(
    entity: Mapping[str, Any], words: np.ndarray, others: np.ndarray, text: str
) -> dict[str, Any]:
    """An entity at its place in another text of the same words.

    Args:
        entity: Its ``start`` is in a word, and its ``end`` in the same one or a later one.
        words: (words, 2) characters of the words in the text that the entity is of.
        others: (words, 2) the same in the other text.
        text: The other text.
    """
    first = int(np.searchsorted(words[:, 1], entity["start"], side="right"))
    last = int(np.searchsorted(words[:, 0], entity["end"], side="left")) - 1
    start = int(entity["start"] - words[first, 0] + others[first, 0])
    end = int(entity["end"] - words[last, 0] + others[last, 0])
    return {**entity, "start": start, "end": end, "word": text[start:end]}

"""The words of an input, and which tokens of its rows belong to which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nlplug.text.characters import widen
from nlplug.text.words import word_spans


@dataclass(frozen=True)
class Units:
    """What is replaced together: words, or groups of neighboring words.

    Attributes:
        fields: (units,) the number of the text that each is in.
        spans: (units, 2) first character and end.
        tokens: For each row (tokens,) the unit of each token; -1: it is never replaced.
    """

    fields: np.ndarray
    spans: np.ndarray
    tokens: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def readings(self) -> int:
        """Number of rows to run if each unit is replaced once: rows in which it has tokens."""
        return sum(len(self.of_row(row)) for row in range(len(self.tokens)))

    def of_row(self, row: int) -> np.ndarray:
        """The units that have tokens in a row, ascending."""
        found = np.unique(self.tokens[row])
        return found[found >= 0]

    def grouped(self, size: int) -> Units:
        """Groups of ``size`` neighboring units of the same text; the last one may be smaller."""
        firsts = np.searchsorted(self.fields, self.fields)
        inside = (np.arange(len(self)) - firsts) // size
        begins = np.flatnonzero(
            np.diff(self.fields, prepend=-1).astype(bool) | np.diff(inside, prepend=-1).astype(bool)
        )
        groups = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(self)))
        lasts = np.append(begins[1:], len(self)) - 1
        return Units(
            fields=self.fields[begins],
            spans=np.stack((self.spans[begins, 0], self.spans[lasts, 1]), axis=1),
            tokens=[np.where(row < 0, -1, groups[row]) for row in self.tokens],
        )


def units_of(texts: Mapping[str, str], places: Sequence[np.ndarray]) -> Units:
    """The words of an input that have tokens in some rows.

    A word that shares its only token with the word before it is joined to that word.

    Args:
        texts: The texts by field.
        places: For each row (tokens, 3); see `ExplainableModel.places`.
    """
    numbered: list[tuple[np.ndarray, np.ndarray]] = []
    tokens = [np.full(len(row), -1) for row in places]
    first = 0
    for number, text in enumerate(texts.values()):
        words = word_spans(text)
        spans = np.stack(widen(text, words[:, 0], words[:, 1]), axis=1)
        reached = spans.copy()
        used = np.zeros(len(words), dtype=bool)
        for row, own in zip(places, tokens, strict=True):
            here = np.flatnonzero((row[:, 0] == number) & (row[:, 1] < row[:, 2]))
            # A token may begin with the space before its word.
            found = np.searchsorted(spans[:, 1], row[here, 1], side="right")
            here, found = here[found < len(words)], found[found < len(words)]
            inside = row[here, 2] > spans[found, 0]
            here, found = here[inside], found[inside]
            own[here] = first + found
            used[found] = True
            np.maximum.at(reached[:, 1], found, row[here, 2])
        numbered.append((np.full(len(words), number), np.where(used[:, None], reached, -1)))
        first += len(words)
    fields = np.concatenate([one for one, _ in numbered])
    spans = np.concatenate([one for _, one in numbered])
    kept = spans[:, 0] >= 0
    renumbered = np.cumsum(kept) - 1
    return Units(
        fields[kept], spans[kept], [np.where(own < 0, -1, renumbered[own]) for own in tokens]
    )

"""Naive Bayes on characters: the teacher of the Chinese topic model.

With ten thousand titles it is better than a small fine-tuned encoder, because a pair of characters
is often a word that decides the topic. The encoder learns its probabilities on any number of texts
without labels, and then generalizes from the words that naive Bayes knows to their likes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

LENGTHS = (1, 2, 3)
"""Characters of a feature."""
_SMOOTHING = 0.2
_TEMPERATURE = 6.0
"""Divides the logits: features overlap, so that naive Bayes is far too sure."""


class NaiveBayes:
    """A multinomial naive Bayes classifier over runs of one to three characters.

    Args:
        rows: Pairs of a text and its label.

    Attributes:
        labels: All labels, in alphabetical order.
    """

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self.labels = sorted({label for _, label in rows})
        places = {label: place for place, label in enumerate(self.labels)}
        counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(places)))
        for text, label in rows:
            for run in _runs(text):
                counts[run][places[label]] += 1
        features = list(counts)
        table = np.stack([counts[run] for run in features]) + _SMOOTHING
        logs = np.log(table / table.sum(0))
        self._weights = dict(zip(features, logs, strict=True))
        self._none = np.zeros(len(places))

    def __call__(self, text: str) -> list[float]:
        """The probability of each label."""
        known = (self._weights[run] for run in _runs(text) if run in self._weights)
        logits = sum(known, self._none) / _TEMPERATURE
        scores = np.exp(logits - logits.max())
        return [round(float(score), 4) for score in scores / scores.sum()]


def _runs(text: str) -> Iterator[str]:
    marked = f"^{text}$"
    for length in LENGTHS:
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]

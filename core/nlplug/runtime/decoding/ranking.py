"""The most likely tokens of each row, found by the graph or by numpy.

Sampling and beam search need only a few dozen tokens of the vocabulary. A fast graph finds them for
all rows together while the logits are still in the CPU's caches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 64


@dataclass(frozen=True)
class Ranking:
    """The most likely tokens of some rows, the most likely first.

    Attributes:
        logits: float32 of shape (rows, n); of equal ones, that of the lower token comes first.
        tokens: int64 of shape (rows, n).
        shares: The probability of the most likely token, float32 of shape (rows, 1).
        peaks: The logit of the same token, of the same shape.
    """

    logits: np.ndarray
    tokens: np.ndarray
    shares: np.ndarray
    peaks: np.ndarray

    @property
    def log_sums(self) -> np.ndarray:
        """The logarithm of the sum of the exponentials of all logits, float32 (rows, 1)."""
        sums: np.ndarray = self.peaks - np.log(self.shares)
        return sums

    def without(self, banned: tuple[int, ...]) -> Ranking:
        """Remove tokens; the result is shorter by their number, whether or not they were ranked.

        ``shares`` and ``peaks`` stay those of the model.
        """
        if not banned:
            return self
        out = np.isin(self.tokens, banned)
        order = np.argsort(out, axis=1, kind="stable")[:, : out.shape[1] - len(banned)]
        return Ranking(
            np.take_along_axis(self.logits, order, 1),
            np.take_along_axis(self.tokens, order, 1),
            self.shares,
            self.peaks,
        )

    def lowered(self, scores: np.ndarray) -> Ranking | None:
        """Rank the same tokens again by scores, none of which is above its logit.

        No unranked token can be above the last logit; tokens that fell to it or below get minus
        infinity.

        Args:
            scores: Scores of all tokens, float32 of shape (rows, vocabulary).

        Returns:
            None if a row has no token left above the last logit.
        """
        values = np.take_along_axis(scores, self.tokens, 1)
        values[values <= self.logits[:, -1:]] = -np.inf
        order = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, 1)
        if not np.isfinite(values[:, 0]).all():
            return None
        tokens = np.take_along_axis(self.tokens, order, 1)
        return Ranking(values, tokens, self.shares, self.peaks)


def rank(logits: np.ndarray, count: int) -> Ranking:
    """Rank by numpy.

    Args:
        logits: float32 of shape (rows, vocabulary).
        count: Number of tokens, from 1 to the vocabulary.
    """
    values, tokens = top_sorted(logits, count)
    peaks = values[:, :1]
    return Ranking(values, tokens, np.exp(peaks - log_sum_exp(logits)), peaks)


def log_sum_exp(scores: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials along the last axis, which keeps length 1."""
    peak = scores.max(axis=-1, keepdims=True)
    total: np.ndarray = np.log(np.exp(scores - peak).sum(axis=-1, keepdims=True)) + peak
    return total


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis."""
    values: np.ndarray = scores - log_sum_exp(scores)
    return values


def top_places(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the ``count`` largest numbers, and of those equal to the last of them.

    The ``count``-th largest of the maxima of blocks is a lower bound that few numbers reach. It
    costs one pass instead of a partition of the whole vocabulary.

    Args:
        scores: Shape (n,).
        count: From 1 to n.

    Returns:
        Indices in ascending order, ``count`` of them or more.
    """
    blocks = len(scores) // _BLOCK
    if blocks < 2 * count:
        return np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    peaks = scores[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
    places = np.flatnonzero(scores >= np.partition(peaks, -count)[-count])
    values = scores[places]
    kept: np.ndarray = places[values >= np.partition(values, -count)[-count]]
    return kept


def top_sorted(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` largest numbers of each row, largest first; of equal ones the first.

    Args:
        scores: Shape (rows, n).
        count: From 1 to n.

    Returns:
        Values and their indices, each of shape (rows, count).
    """
    values = np.empty((len(scores), count), scores.dtype)
    places = np.empty((len(scores), count), np.int64)
    for number, row in enumerate(scores):
        found = descending(row, top_places(row, count))[:count]
        places[number], values[number] = found, row[found]
    return values, places


def descending(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Indices sorted by their numbers, the largest first; equal ones keep their order."""
    order: np.ndarray = places[np.argsort(-scores[places], kind="stable")]
    return order

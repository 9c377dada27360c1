"""Log-softmax, and the largest of many numbers, as numpy does them quickest."""

from __future__ import annotations

import numpy as np

_BLOCK = 64


def log_sum_exp(scores: np.ndarray) -> np.ndarray:
    """Along the last axis, which is kept with one number."""
    peak = scores.max(axis=-1, keepdims=True)
    total: np.ndarray = np.log(np.exp(scores - peak).sum(axis=-1, keepdims=True)) + peak
    return total


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    values: np.ndarray = scores - log_sum_exp(scores)
    return values


def top_places(scores: np.ndarray, count: int) -> np.ndarray:
    """Where the ``count`` largest numbers stand, and those that equal the last of them.

    Most of a vocabulary is nowhere near: the ``count``-th largest of the maxima of blocks is a
    floor that few numbers reach, and it costs one pass to find instead of a partition of all.

    Args:
        scores: Shape (n,).
        count: From 1 to n.

    Returns:
        Places in rising order, ``count`` of them or more.
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
        Values and their places, each of shape (rows, count).
    """
    values = np.empty((len(scores), count), scores.dtype)
    places = np.empty((len(scores), count), np.int64)
    for number, row in enumerate(scores):
        found = ranked(row, top_places(row, count))[:count]
        places[number], values[number] = found, row[found]
    return values, places


def ranked(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places in the order of their numbers, the largest first; equal ones as they were."""
    order: np.ndarray = places[np.argsort(-scores[places], kind="stable")]
    return order

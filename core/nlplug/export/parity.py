"""Parity of two models: how far their outputs on the same rows differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FP32_TOLERANCE = 1e-3
"""Largest difference of float32 outputs, relative to the largest output (at least 1)."""

BATCH_TOLERANCE = 1e-4
"""Largest difference of a score (a probability) of the same text alone and in a batch."""


@dataclass
class Parity:
    """Collects the differences of outputs, one pair of arrays at a time."""

    _largest: float = 0.0
    _worst: float = 0.0
    _total: float = 0.0
    _numbers: int = 0
    _dots: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _same: int = 0
    _choices: int = 0

    def add(self, expected: np.ndarray, given: np.ndarray) -> None:
        """Add one output of each model, of the same shape; a choice is made on the last axis."""
        one, two = expected.astype(np.float64), given.astype(np.float64)
        difference = np.abs(one - two)
        self._largest = max(self._largest, float(np.abs(one).max()))
        # np.maximum keeps NaN, max() may not.
        self._worst = float(np.maximum(self._worst, difference.max()))
        self._total += float(difference.sum())
        self._numbers += difference.size
        self._dots += [float((one * two).sum()), float((one**2).sum()), float((two**2).sum())]
        same = np.atleast_1d(_choice(one) == _choice(two))
        self._same += int(same.sum())
        self._choices += same.size

    def summary(self) -> dict[str, float]:
        """The parity of everything added.

        Returns:
            ``max_abs_diff`` and ``mean_abs_diff`` over all numbers, ``largest`` (the largest
            absolute value of the expected numbers), ``cosine`` over all numbers, and
            ``agreement`` (share of the choices that are the same).
        """
        norm = float(np.sqrt(self._dots[1] * self._dots[2]))
        return {
            "max_abs_diff": self._worst,
            "mean_abs_diff": self._total / max(1, self._numbers),
            "largest": self._largest,
            "cosine": float(self._dots[0]) / norm if norm else float(not self._total),
            "agreement": self._same / self._choices if self._choices else 1.0,
        }


def expected_regret(expected: np.ndarray, given: np.ndarray, *, independent: bool = False) -> float:
    """The loss of one output that the reference's own probabilities expect, from 0 to 1.

    It is the probability that the reference gives its own choice, minus the probability that it
    gives the other model's choice, averaged over all axes but the last. An output with a number
    that is not finite is a loss of 1.

    Args:
        expected: Logits of the reference.
        given: Logits of the other model.
        independent: Each number is a yes or no of its own (several labels per text).
    """
    if not np.isfinite(given).all():
        return 1.0
    shares = probabilities(expected, independent=independent)
    if independent or expected.shape[-1] == 1:
        flipped = (expected > 0) != (given > 0)
        return float(np.mean(np.abs(2 * shares - 1) * flipped))
    chosen = np.take_along_axis(shares, np.argmax(given, axis=-1)[..., None], axis=-1)[..., 0]
    return float(np.mean(shares.max(axis=-1) - chosen))


def probabilities(logits: np.ndarray, *, independent: bool = False) -> np.ndarray:
    """What logits mean, over the last axis, float64 of the same shape.

    Args:
        logits: Logits of a model.
        independent: Each number is a yes or no of its own (several labels per text).
    """
    values = logits.astype(np.float64)
    if independent or values.shape[-1] == 1:
        return np.asarray(np.exp(-np.logaddexp(0.0, -values)))
    shares = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def score_difference(one: np.ndarray, other: np.ndarray, *, independent: bool = False) -> float:
    """The largest difference of two outputs, as probabilities."""
    pair = (probabilities(logits, independent=independent) for logits in (one, other))
    return float(np.abs(np.subtract(*pair)).max())


def relative_difference(parity: Mapping[str, float]) -> float:
    """The largest difference, relative to the largest expected number (at least 1)."""
    return parity["max_abs_diff"] / max(1.0, parity.get("largest", 1.0))


def _choice(output: np.ndarray) -> Any:
    return output > 0 if output.shape[-1] == 1 else output.argmax(axis=-1)

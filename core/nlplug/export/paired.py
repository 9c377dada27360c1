"""The paired loss of one model against another on the same rows, with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 4000
_SEED = 20260101
_CHUNK = 4_000_000


@dataclass(frozen=True)
class PairedLoss:
    """Loss of the metric, in the metric's unit (0.005 = half a point).

    Attributes:
        mean: Reference minus candidate, averaged over the rows; negative for a gain.
        low: Lower end of the 95 % interval.
        high: Upper end.
        rows: Number of rows compared.
    """

    mean: float
    low: float
    high: float
    rows: int

    def rows_needed(self, budget: float) -> int | None:
        """Number of rows at which the upper half of the interval is as narrow as ``budget``.

        None if no number is enough (the budget is not above zero), or if no rows were compared.
        """
        half = self.high - self.mean
        if budget <= 0 or not self.rows:
            return None
        unchanged = self.mean == 0 and self.low == -self.high
        return math.ceil(self.rows * (half / budget) ** (1 if unchanged else 2))


def paired_loss(reference: np.ndarray, candidate: np.ndarray) -> PairedLoss:
    """Mean difference and its percentile-bootstrap interval over rows (seed fixed).

    Rows where both agree add nothing to the variance, so the paired interval is much narrower than
    that of either metric. If no row differs, the bootstrap gives ±0, and the rule of three gives
    the bound instead: with n rows and no change, a change of up to 3/n of the rows cannot be
    excluded. (Efron & Tibshirani 1993, ch. 13; Hanley & Lippman-Hand
    1983.)

    Args:
        reference: Contribution of each row to the metric, shape (rows,).
        candidate: The same rows of the other model.
    """
    difference = np.asarray(reference, dtype=np.float64) - np.asarray(candidate, dtype=np.float64)
    count = len(difference)
    if count == 0:
        return PairedLoss(0.0, -1.0, 1.0, 0)
    mean = float(difference.mean())
    if not difference.any():
        bound = min(1.0, 3.0 / count)
        return PairedLoss(0.0, -bound, bound, count)
    means = _resampled_means(difference)
    low, high = np.quantile(means, [0.025, 0.975])
    return PairedLoss(mean, float(low), float(high), count)


def _resampled_means(difference: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(_SEED)
    count = len(difference)
    # Most rows have equal values, so a resample is a multinomial draw over the distinct values.
    values, counts = np.unique(difference, return_counts=True)
    if len(values) <= 64:
        drawn = random.multinomial(count, counts / count, size=_RESAMPLES)
        means: np.ndarray = drawn @ values / count
        return means
    step = max(1, _CHUNK // count)
    parts = [
        difference[random.integers(0, count, (min(step, _RESAMPLES - start), count))].mean(axis=1)
        for start in range(0, _RESAMPLES, step)
    ]
    return np.concatenate(parts)

"""Classification metrics in numpy; truth and answers are 0/1 matrices (rows, labels)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_RESAMPLES = 1000
_SEED = 20260101


def wilson_interval(hits: int, rows: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson 1927); (0, 1) without rows."""
    if not rows:
        return 0.0, 1.0
    share = hits / rows
    centre = share + z * z / (2 * rows)
    margin = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % confidence interval of a mean over rows.

    Wilson's interval if all values are 0 or 1, else the percentile bootstrap with a fixed seed.

    Args:
        values: One value per row, shape (rows,).
    """
    rows = len(values)
    if np.isin(values, (0.0, 1.0)).all():
        return wilson_interval(int(values.sum()), rows)
    random = np.random.default_rng(_SEED)
    means = [values[random.integers(0, rows, rows)].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def confusion(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Confusion matrix: counts by true label (rows) and predicted label (columns)."""
    matrix: np.ndarray = truth.astype(np.int64).T @ given.astype(np.int64)
    return matrix


def confused(matrix: np.ndarray, labels: Sequence[str], *, limit: int) -> list[dict[str, Any]]:
    """The most frequent confusions of two labels, most rows first.

    Args:
        matrix: Confusion matrix, counts by true label (rows) and predicted label (columns).
        labels: Label names.
        limit: Maximum number of pairs.

    Returns:
        For each pair ``truth``, ``answer``, ``rows``, and the ``share`` of the truth's rows.
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    sizes = matrix.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    return [
        {
            "truth": labels[truth],
            "answer": labels[answer],
            "rows": int(wrong[truth, answer]),
            "share": float(wrong[truth, answer] / sizes[truth]),
        }
        for truth, answer in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[truth, answer]
    ]


def label_scores(truth: np.ndarray, given: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and F1 per label, and their averages, from truth and answers.

    See `averages`. With one label per text the micro average is the accuracy.
    """
    return averages((truth & given).sum(axis=0), given.sum(axis=0), truth.sum(axis=0), labels)


def averages(
    hits: np.ndarray, named: np.ndarray, support: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Precision, recall and F1 per label, and their averages; 0 for an undefined ratio.

    Args:
        hits: Number of correct answers per label, shape (labels,).
        named: Number of answers per label, same shape.
        support: Number of true cases per label, same shape.
        labels: Label names.

    Returns:
        ``labels`` by name; ``micro``: over all decisions; ``macro``: the mean over the labels;
        ``weighted``: the mean weighted by support.
    """
    columns = {
        "precision": _ratio(hits, named),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, named + support),
    }
    total = int(support.sum())
    micro = (
        _ratio(hits.sum(), named.sum()),
        _ratio(hits.sum(), support.sum()),
        _ratio(2 * hits.sum(), named.sum() + support.sum()),
    )
    return {
        "labels": {
            label: {name: float(values[index]) for name, values in columns.items()}
            | {"support": int(support[index])}
            for index, label in enumerate(labels)
        },
        "macro": {
            name: float(values.mean()) if len(labels) else 0.0 for name, values in columns.items()
        },
        "micro": {name: float(value) for name, value in zip(columns, micro, strict=True)},
        "weighted": {
            name: float(values @ support / total) if total else 0.0
            for name, values in columns.items()
        },
    }


def calibration(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 10) -> dict[str, Any]:
    """Expected calibration error over bins of equal width (Guo et al. 2017), and the bins.

    Args:
        confidence: Scores from 0 to 1, shape (rows,).
        correct: Whether each answer was right, same shape.
        bins: Number of bins.

    Returns:
        ``ece`` and ``bins``: for each bin its ``low`` and ``high`` edge, ``count``, mean
        ``confidence`` and ``accuracy`` (None for an empty bin).
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    mean = _ratio(np.bincount(index, weights=confidence, minlength=bins), counts)
    right = _ratio(np.bincount(index, weights=correct.astype(np.float64), minlength=bins), counts)
    rows = max(1, len(confidence))
    return {
        "ece": float((counts * np.abs(mean - right)).sum() / rows),
        "bins": [
            {
                "low": step / bins,
                "high": (step + 1) / bins,
                "count": int(counts[step]),
                "confidence": float(mean[step]) if counts[step] else None,
                "accuracy": float(right[step]) if counts[step] else None,
            }
            for step in range(bins)
        ],
    }


def _ratio(above: Any, below: Any) -> np.ndarray:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    ratio: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return ratio

"""The formulas of classification, in numpy, on truth and answer as 0/1 matrices (rows, labels)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def wilson_interval(hits: int, rows: int, *, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); (0, 1) without rows."""
    if not rows:
        return 0.0, 1.0
    share = hits / rows
    centre = share + z * z / (2 * rows)
    margin = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    scale = 1 + z * z / rows
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def confusion(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Counts by true label (rows) and given label (columns)."""
    matrix: np.ndarray = truth.astype(np.int64).T @ given.astype(np.int64)
    return matrix


def confused(matrix: np.ndarray, labels: Sequence[str], *, limit: int) -> list[dict[str, Any]]:
    """The labels most often taken for another one, the most rows first.

    Args:
        matrix: Counts by true label (rows) and given label (columns).
        labels: Their names.
        limit: At most so many.

    Returns:
        For each pair ``truth``, ``answer``, ``rows``, and their ``share`` of the truth's rows.
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
    """Precision, recall and F1 of each label and their averages; 0 where one is undefined.

    ``macro`` is the plain mean over the labels, ``weighted`` the mean weighted by support, and
    ``micro`` counts every single decision alike (for one label a text: the accuracy).
    """
    hits = (truth & given).sum(axis=0)
    named = given.sum(axis=0)
    support = truth.sum(axis=0)
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
        "macro": {name: float(values.mean()) for name, values in columns.items()},
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
        correct: Whether each was right, same shape.
        bins: How many.

    Returns:
        ``ece`` and ``bins``: for each its ``low`` and ``high`` edge, ``count``, mean ``confidence``
        and ``accuracy`` (None where it is empty).
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

"""Temperature scaling: one factor of the logits that makes scores probabilities (Guo et al. 2017).

The factor is found on rows that were not trained on and becomes part of the last layer, so nothing
has to apply it later.
"""

from __future__ import annotations

import numpy as np

from nlplug.evaluation.metrics import calibration

MIN_ROWS = 200
"""With fewer rows the factor is too uncertain: with 150 rows it has made scores worse."""
_RANGE = (0.1, 10.0)
_STEPS = 60
_GAIN = 0.8
_LOW = 0.03
"""A calibration error that is low enough."""
_GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float | None:
    """The temperature with the lowest cross entropy; None if it cannot be found.

    It cannot if all answers are right: then any temperature closer to 0 would be better.

    Args:
        logits: Shape (rows, labels).
        targets: Ids of the right labels, shape (rows,); or 0 and 1 for each label, shape (rows,
            labels), if a text may have several labels.
    """
    logits = logits.astype(np.float64)
    several = targets.ndim == 2
    right = (logits > 0) == (targets > 0.5) if several else logits.argmax(axis=1) == targets
    if right.all():
        return None

    def entropy(log: float) -> float:
        scaled = logits / np.exp(log)
        if several:
            return float((np.logaddexp(0.0, scaled) - targets * scaled).mean())
        total = np.logaddexp.reduce(scaled, axis=1)
        return float((total - scaled[np.arange(len(scaled)), targets]).mean())

    low, high = np.log(_RANGE)
    for _ in range(_STEPS):  # golden-section search; the entropy has one minimum
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if entropy(first) < entropy(second):
            high = second
        else:
            low = first
    return float(np.exp((low + high) / 2))


def improves(logits: np.ndarray, targets: np.ndarray) -> bool:
    """Whether a temperature lowers the calibration error (ECE) on rows that it was not found on.

    An error above 0.03 has to become lower by a fifth. The temperature is found by cross entropy. A
    model that is wrong in another way than by a common factor can have a lower cross entropy with a
    higher error.

    Args:
        logits: See `fit_temperature`.
        targets: See `fit_temperature`.
    """
    before, after = errors(logits, targets)
    return before > _LOW and after < _GAIN * before


def errors(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The calibration error (ECE) without and with a temperature.

    Each half of the rows is scaled with the temperature of the other half. If none can be found,
    both errors are that of the logits.

    Args:
        logits: See `fit_temperature`.
        targets: See `fit_temperature`.
    """
    before = error(logits.astype(np.float64), targets)
    scaled = logits.astype(np.float64)
    halves = (slice(0, None, 2), slice(1, None, 2))
    for part, other in (halves, halves[::-1]):
        temperature = fit_temperature(logits[other], targets[other])
        if temperature is None:
            return before, before
        scaled[part] /= temperature
    return before, error(scaled, targets)


def error(logits: np.ndarray, targets: np.ndarray) -> float:
    """The calibration error (ECE) of the best labels; with several labels per text, of all."""
    if targets.ndim == 2:
        scores, right = np.exp(-np.logaddexp(0.0, -logits)).ravel(), targets.ravel() > 0.5
    else:
        shares = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
        scores, right = shares.max(axis=1), shares.argmax(axis=1) == targets
    return float(calibration(scores, right)["ece"])

"""Fits the threshold of "no answer" to questions that did not train the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlplug.errors import DataError
from nlplug.evaluation.held_out import HeldOut
from nlplug.families.span_extraction.overlap import f1
from nlplug.families.span_extraction.scoring import totals_by_kept

if TYPE_CHECKING:
    from nlplug.evaluation.base import Sample
    from nlplug.pipelines import Pipeline

MIN_ROWS = 50
"""Questions with and without an answer that are needed, of each."""
_TOLERANCE = 0.01
"""Of thresholds whose F1 differs by less than this, the one closest to 0 is taken.

A few hundred rows do not tell them apart, and far from 0 most answers are withheld.
"""
_OPTION = "null_score_diff_threshold"
_ASKED = {"handle_impossible_answer": True, "top_k": 1, "min_score": 0.0}
_ALWAYS, _NEVER = -1000.0, 1000.0
"""Thresholds with which every answer is "no answer", and none is."""


def fit(pipe: Pipeline, samples: Sequence[Sample], *, temperature: bool) -> HeldOut:
    """The threshold with the highest mean F1 over the questions, as close to 0 as possible.

    The function `nlplug.families.family.Family.held_out`.

    Args:
        pipe: The model.
        samples: The questions.
        temperature: Not used.

    Raises:
        DataError: There are too few questions of either kind.
    """
    answerable = np.array([bool(sample.target) for sample in samples], dtype=bool)
    counts = int(answerable.sum()), int((~answerable).sum())
    if min(counts) < MIN_ROWS:
        raise DataError(
            f"There are {counts[0]} questions with an answer and {counts[1]} without, but the "
            f'threshold of "no answer" needs {MIN_ROWS} of each.',
            hint="Give more questions that did not train the model.",
        )
    best, nothing = (
        list(pipe.answers((sample.input for sample in samples), **_ASKED | {_OPTION: threshold}))
        for threshold in (_NEVER, _ALWAYS)
    )
    overlap = np.array([f1(a["answer"], s.target) for a, s in zip(best, samples, strict=True)])
    scores, none = (
        np.log([max(answer["score"], np.finfo(float).tiny) for answer in answers])
        for answers in (best, nothing)
    )
    margin = none - scores
    threshold = _best(margin, overlap, answerable)

    def mean(chosen: float) -> float:
        return float(np.where(margin > chosen, ~answerable, overlap).mean())

    figures = {"f1_before": mean(0.0), "f1": mean(threshold)}
    return HeldOut({}, {_OPTION: threshold}, figures)


def _best(margin: np.ndarray, overlap: np.ndarray, answerable: np.ndarray) -> float:
    """The threshold with the highest mean, or one that is almost as good and closer to 0.

    It is 0, or the middle between two margins.

    Args:
        margin: How far the logarithm of the score of "no answer" exceeds that of the best answer,
            shape (rows,).
        overlap: F1 of the best answers, same shape.
        answerable: Whether the question has an answer, same shape.
    """
    ordered, total = totals_by_kept(overlap, answerable, -margin)
    ordered = -ordered
    borders = np.concatenate(
        ([ordered[0] - 1], (ordered[:-1] + ordered[1:]) / 2, [ordered[-1] + 1])
    )
    now = np.where(margin > 0, ~answerable, overlap).sum()
    least = total.max() - _TOLERANCE * len(margin)
    if now >= least:
        return 0.0
    return round(float(min(borders[total >= least], key=abs)), 4)

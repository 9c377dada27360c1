"""Fits the record of held-out rows: temperature, conformal scores, minimum score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import DataError
from nlplug.evaluation.held_out import HeldOut
from nlplug.families.one_pass import softmax
from nlplug.families.sequence_classification.confidence import Confidence, inside
from nlplug.families.sequence_classification.model import activation_of
from nlplug.families.sequence_classification.temperature import (
    MIN_ROWS,
    errors,
    fit_temperature,
    improves,
)

if TYPE_CHECKING:
    from nlplug.evaluation.base import Sample
    from nlplug.pipelines import Pipeline

_RAW = {
    "function_to_apply": "none",
    "return_all_scores": True,
    "top_k": None,
    "min_score": 0.0,
    "threshold": 0.0,
    "coverage": None,
}
"""Options with which an answer is the logits of all labels, by id."""
_COVERAGE = 0.9
"""The coverage whose sets are described."""


def fit(pipe: Pipeline, samples: Sequence[Sample], *, temperature: bool) -> HeldOut:
    """The record of a model, from rows that did not train it.

    The function `nlplug.families.family.Family.held_out`.

    Args:
        pipe: The model.
        samples: The rows.
        temperature: Whether to find a temperature; else that of the model is kept.

    Raises:
        DataError: There are too few rows, or a row has several labels and the model gives one.
    """
    if len(samples) < MIN_ROWS:
        raise DataError(
            f"There are {len(samples)} rows, but a record needs at least {MIN_ROWS}.",
            hint="Give more labelled rows that did not train the model.",
        )
    fields = pipe.definition.Options.model_fields
    raw = {name: value for name, value in _RAW.items() if name in fields}
    answers = pipe.answers((sample.input for sample in samples), **raw)
    logits = np.array([[item["score"] for item in answer] for answer in answers])
    several = activation_of(pipe.bundle, logits.shape[1]) == "sigmoid"
    earlier = Confidence.of(pipe.bundle)
    record = earlier.model_copy(update={"right": []})
    wanted = _targets(samples, logits.shape[1]) if several else _single(samples)
    figures: dict[str, float] = {}
    if temperature:
        found = fit_temperature(logits, wanted) if improves(logits, wanted) else None
        record.temperature = found or 1.0
        before, after = errors(logits, wanted)
        figures = {"ece_before": before, "ece": after if found else before}
    figures["temperature"] = record.temperature
    options: dict[str, Any] = {}
    if not several:
        scores = softmax(logits / record.temperature)
        right = np.sort(scores[np.arange(len(scores)), wanted])
        # Rounded down, so that a label with exactly this score is in the set.
        record.right = [math.floor(score * 1e6) / 1e6 for score in right.tolist()]
        sets = scores >= record.least_score(_COVERAGE)
        figures["labels_per_set"] = float(sets.sum(axis=1).mean())
        if (least := pipe.defaults.get("min_score")) and record.temperature != earlier.temperature:
            name = pipe.defaults.get("abstain_label", "none")
            outside = [i for i, label in enumerate(pipe.bundle.labels) if label == name]
            old = softmax(logits / earlier.temperature)
            options["min_score"] = _same_share(
                least, *(np.array([inside(row, outside)[0] for row in s]) for s in (old, scores))
            )
    return HeldOut(record.model_dump(), options, figures)


def _targets(samples: Sequence[Sample], labels: int) -> np.ndarray:
    """0 and 1 for each label, shape (rows, labels)."""
    rows = np.zeros((len(samples), labels))
    for row, sample in zip(rows, samples, strict=True):
        row[list(sample.target) if isinstance(sample.target, tuple) else sample.target] = 1
    return rows


def _single(samples: Sequence[Sample]) -> np.ndarray:
    """The ids of the labels, shape (rows,).

    Raises:
        DataError: A row has not one label.
    """
    found = []
    for sample in samples:
        ids = sample.target if isinstance(sample.target, tuple) else (sample.target,)
        if len(ids) != 1:
            raise DataError(
                f"{sample.source}: the row has {len(ids)} labels, but the labels of the model "
                "exclude each other.",
                hint="Give rows with one label each.",
            )
        found.append(ids[0])
    return np.array(found)


def _same_share(least: float, earlier: np.ndarray, scores: np.ndarray) -> float:
    """The minimum of the new scores that as many rows are below as were below the earlier one."""
    below = int((earlier < least).sum())
    ordered = np.concatenate([[0.0], np.sort(scores), [1.0]])
    return round(float(ordered[below] + ordered[below + 1]) / 2, 4)

"""The formulas, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nlplug.evaluation.metrics import calibration, confusion, label_scores, wilson_interval

# Truth and answer of eight texts with the labels a, b, c: a is right twice and once taken for b,
# b is right once and twice taken for a, c is right once and once taken for b.
TRUTH = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 1, 2, 2]]
GIVEN = np.eye(3, dtype=bool)[[0, 0, 1, 1, 0, 0, 2, 1]]


def test_confusion_counts_truth_by_row_and_answer_by_column() -> None:
    assert confusion(TRUTH, GIVEN).tolist() == [[2, 1, 0], [2, 1, 0], [0, 1, 1]]


def test_precision_recall_and_f1_of_each_label() -> None:
    labels = label_scores(TRUTH, GIVEN, ["a", "b", "c"])["labels"]
    assert labels["a"] == pytest.approx(
        {"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7, "support": 3}
    )
    assert labels["b"] == pytest.approx(
        {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "support": 3}
    )
    assert labels["c"] == pytest.approx(
        {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    )


def test_averages_over_the_labels() -> None:
    scores = label_scores(TRUTH, GIVEN, ["a", "b", "c"])
    assert scores["macro"]["f1"] == pytest.approx((4 / 7 + 1 / 3 + 2 / 3) / 3)
    assert scores["weighted"]["f1"] == pytest.approx((3 * 4 / 7 + 3 * 1 / 3 + 2 * 2 / 3) / 8)
    assert scores["micro"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})


def test_a_label_that_nobody_has_scores_zero_and_not_nan() -> None:
    scores = label_scores(TRUTH[:6], GIVEN[:6], ["a", "b", "c"])
    assert scores["labels"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert np.isfinite(scores["macro"]["f1"])


def test_several_labels_a_text() -> None:
    truth = np.array([[1, 1, 0], [0, 1, 0]], dtype=bool)
    given = np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    assert label_scores(truth, given, ["a", "b", "c"])["micro"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    )


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.65, 0.65])
    correct = np.array([True, True, True, False, True, False])
    result = calibration(confidence, correct)
    assert result["ece"] == pytest.approx(4 / 6 * abs(0.95 - 0.75) + 2 / 6 * abs(0.65 - 0.5))
    filled = [item for item in result["bins"] if item["count"]]
    assert [(item["low"], item["count"], item["accuracy"]) for item in filled] == [
        (0.6, 2, 0.5),
        (0.9, 4, 0.75),
    ]


def test_scores_on_an_edge_belong_to_the_bin_below_and_zero_to_the_first() -> None:
    counts = [item["count"] for item in calibration(np.array([0.0, 0.1, 1.0]), np.ones(3))["bins"]]
    assert counts == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_an_empty_bin_has_no_accuracy() -> None:
    assert calibration(np.array([0.95]), np.array([True]))["bins"][0]["accuracy"] is None


def test_the_wilson_interval() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)

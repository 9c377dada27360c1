"""Sums over several outputs, logits at the limits, and runs that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest
from gate_kit import run_of

from nlplug.export.gate import compare_outputs, expected_loss, refusal
from nlplug.export.paired import PairedLoss
from nlplug.export.parity import Parity, expected_regret, score_difference


def test_differences_of_all_outputs_are_summed() -> None:
    parity = Parity()
    parity.add(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    parity.add(np.array([3.0, 0.0]), np.array([3.0, 1.0]))
    found = parity.summary()
    assert found["mean_abs_diff"] == pytest.approx((0.5 + 1.0) / 4)
    squares = (1 + 4 + 9) * (2.25 + 4 + 9 + 1)
    assert found["cosine"] == pytest.approx((1.5 + 4 + 9) / np.sqrt(squares))


def test_the_mean_of_one_number_is_its_difference() -> None:
    parity = Parity()
    parity.add(np.array([2.0]), np.array([3.0]))
    assert parity.summary()["mean_abs_diff"] == 1.0


def test_half_precision_is_compared_in_double() -> None:
    parity = Parity()
    parity.add(np.array([60000.0], np.float16), np.array([-60000.0], np.float16))
    assert parity.summary()["max_abs_diff"] == 120_000.0
    assert parity.summary()["cosine"] == pytest.approx(-1.0)


def test_each_label_is_a_yes_above_zero() -> None:
    small = expected_regret(np.array([0.5, -0.5]), np.array([-1.0, -1.0]), independent=True)
    assert small == pytest.approx(np.tanh(0.25) / 2)
    assert expected_regret(np.array([2.0]), np.array([0.0])) == pytest.approx(np.tanh(1.0))
    assert expected_regret(np.array([-2.0]), np.array([0.0])) == 0.0


def test_tokens_of_very_different_logits_are_judged_apart() -> None:
    expected = np.array([[1000.0, 0.0], [-1000.0, -1004.0]])
    given = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert expected_regret(expected, given) == pytest.approx(np.tanh(2.0) / 2)


def test_runs_over_different_rows_are_not_compared() -> None:
    one, two = run_of([1.0, 0.0]), run_of([1.0, 0.0], [0.0, 1.0])
    for pair in ((one, two), (two, one)):
        with pytest.raises(ValueError, match="zip"):
            compare_outputs(*pair)
        with pytest.raises(ValueError, match="zip"):
            expected_loss(*pair)


def test_a_refusal_tells_both_ends_of_a_wide_interval() -> None:
    parity = {"max_abs_diff": 0.1, "agreement": 0.5}
    refused = refusal("int8", parity, PairedLoss(0.25, -0.5, 0.75, 8), "f1", 0.125)
    assert refused is not None
    assert "int8 loses 25.00 points of f1" in refused
    assert "(95 % interval -50.00 to +75.00, 8 rows)" in refused
    assert "budget of 12.50 points" in refused
    assert "in 50.0% of the rows" in refused


def test_the_difference_of_scores_is_that_of_probabilities() -> None:
    one, other = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.6, 0.4], [0.6, 0.4]])
    assert score_difference(one, other) == pytest.approx(0.3)
    one, other = np.array([[0.0, 2.0]]), np.array([[0.0, -2.0]])
    assert score_difference(one, other, independent=True) == pytest.approx(np.tanh(1.0))

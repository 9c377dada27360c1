"""The gate's numbers and sentences: parity, expected loss, refusal and doubt."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from gate_kit import run_of

from nlplug.errors import OptionError
from nlplug.export.config import ExportConfig
from nlplug.export.gate import (
    EXPECTED_AGREEMENT,
    GateResult,
    RowOutputs,
    compare_outputs,
    contributions,
    doubt,
    expected_loss,
    metrics_of,
    points,
    refusal,
    same_answers,
)
from nlplug.export.paired import PairedLoss
from nlplug.export.parity import Parity, expected_regret, relative_difference
from nlplug.families.causal_lm.scoring import Likelihood, TextGenerationEvaluation
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation

NAN, INFINITE = float("nan"), float("inf")
PARITY = {"max_abs_diff": 0.1, "agreement": 0.9, "largest": 4.0}


def test_parity_is_taken_over_all_outputs() -> None:
    parity = compare_outputs(run_of([3.0, -3.0], [1.0, 2.0]), run_of([3.0, -3.0], [2.0, 1.5]))
    assert parity["max_abs_diff"] == 1.0
    assert parity["mean_abs_diff"] == pytest.approx(1.5 / 4)
    assert parity["cosine"] == pytest.approx((18 + 5) / np.sqrt(23 * (18 + 6.25)))
    assert (parity["agreement"], parity["largest"], parity["rows"]) == (0.5, 3.0, 2)


def test_the_largest_values_of_all_outputs_count_whichever_comes_first() -> None:
    parity = compare_outputs(run_of([-9.0, 1.0], [1.0, 0.0]), run_of([-7.0, 1.0], [0.0, 0.0]))
    assert (parity["max_abs_diff"], parity["largest"]) == (2.0, 9.0)


def test_each_token_of_an_output_is_a_choice() -> None:
    parity = Parity()
    parity.add(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]] * 3))
    parity.add(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert parity.summary()["agreement"] == 0.5


def test_a_single_number_is_a_yes_or_no() -> None:
    parity = Parity()
    for expected, given in [(2.0, 0.5), (2.0, -0.5), (-1.0, -3.0), (0.0, -1.0)]:
        parity.add(np.array([expected]), np.array([given]))
    assert parity.summary()["agreement"] == 0.75


def test_an_output_that_is_no_number_shows_in_the_parity() -> None:
    for given in ([NAN, 0.0], [0.0, NAN]):
        parity = compare_outputs(run_of([1.0, 0.0], [1.0, 0.0]), run_of(given, [1.0, 0.0]))
        assert math.isnan(parity["max_abs_diff"])


def test_no_outputs_and_zeros_agree() -> None:
    nothing = Parity().summary()
    assert nothing == {
        "max_abs_diff": 0.0,
        "mean_abs_diff": 0.0,
        "largest": 0.0,
        "cosine": 1.0,
        "agreement": 1.0,
    }
    parity = Parity()
    parity.add(np.zeros(2), np.zeros(2))
    assert parity.summary()["cosine"] == 1.0
    parity.add(np.zeros(2), np.ones(2))
    assert parity.summary()["cosine"] == 0.0


def test_a_difference_is_relative_to_the_largest_output_but_at_least_to_one() -> None:
    assert relative_difference({"max_abs_diff": 0.2, "largest": 4.0}) == pytest.approx(0.05)
    assert relative_difference({"max_abs_diff": 0.2, "largest": 0.1}) == 0.2
    assert relative_difference({"max_abs_diff": 0.2}) == 0.2


def test_a_flip_costs_what_the_reference_believes() -> None:
    even, sure = [0.0, 0.01], [4.0, -4.0]
    losses = expected_loss(run_of(even, sure, sure), run_of(even[::-1], sure[::-1], sure))
    assert losses[0] == pytest.approx(0.005, abs=1e-4)
    assert losses[1] == pytest.approx(np.tanh(4.0), abs=1e-6)
    assert losses[2] == 0.0


def test_the_loss_of_a_row_is_the_mean_of_its_windows() -> None:
    sure, flipped = np.array([4.0, -4.0]), np.array([-4.0, 4.0])
    reference = RowOutputs([sure] * 3, [None] * 3, [2, 0, 1])
    run = RowOutputs([sure, flipped, sure], [None] * 3, [2, 0, 1])
    assert expected_loss(reference, run) == pytest.approx([np.tanh(4.0) / 2, 0.0, 0.0])


def test_the_loss_of_an_output_is_the_mean_of_its_tokens() -> None:
    expected = np.array([[4.0, -4.0, -90.0], [1.0, 0.0, -90.0]])
    given = np.array([[0.0, 1.0, -90.0], [1.0, 0.0, -90.0]])
    assert expected_regret(expected, given) == pytest.approx(np.tanh(4.0) / 2)


def test_large_logits_do_not_overflow() -> None:
    assert expected_regret(np.array([1e4, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert expected_regret(np.array([-1e4]), np.array([1.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [NAN, INFINITE, -INFINITE])
def test_an_output_that_is_no_number_is_a_whole_loss(bad: float) -> None:
    assert expected_loss(run_of([1.0, 0.0]), run_of([bad, 0.0])).tolist() == [1.0]


def test_labels_that_stand_each_for_itself_are_believed_one_by_one() -> None:
    reference, run = run_of([3.0, -3.0]), run_of([3.0, 3.0])
    loss = expected_loss(reference, run, independent=True)
    assert loss[0] == pytest.approx((1 - 2 / (1 + np.exp(3.0))) / 2)


def test_a_single_number_is_believed_as_a_yes_or_no() -> None:
    yes = 1 / (1 + np.exp(-2.0))
    assert expected_regret(np.array([2.0]), np.array([-1.0])) == pytest.approx(2 * yes - 1)
    assert expected_regret(np.array([-2.0]), np.array([1.0])) == pytest.approx(2 * yes - 1)
    assert expected_regret(np.array([2.0]), np.array([0.1])) == 0.0


@pytest.mark.parametrize(
    ("loss", "refused"),
    [
        (PairedLoss(0.006, -0.010, 0.022, 200), True),  # the low end is below the budget
        (PairedLoss(0.004, 0.003, 0.030, 200), False),  # the high end is above it
        (PairedLoss(0.005, 0.001, 0.009, 200), False),  # just within
        (PairedLoss(-0.02, -0.030, -0.010, 200), False),
    ],
)
def test_the_mean_decides_and_not_an_end_of_the_interval(loss: PairedLoss, refused: bool) -> None:
    assert (refusal("int8", PARITY, loss, "accuracy", 0.005) is not None) == refused


def test_a_refusal_gives_all_numbers() -> None:
    loss = PairedLoss(0.0123, -0.004, 0.0287, 240)
    assert refusal("int8", PARITY, loss, "bits_per_byte", 0.005) == (
        "int8 loses 1.23 points of bits per byte against PyTorch (95 % interval -0.40 to +2.87, "
        "240 rows), above the budget of 0.50 points; it gives the same answer in 90.0% of the rows"
    )


@pytest.mark.parametrize("difference", [NAN, INFINITE])
def test_numbers_that_are_not_finite_are_refused_whatever_the_loss(difference: float) -> None:
    parity = {**PARITY, "max_abs_diff": difference}
    refused = refusal("fp16", parity, PairedLoss(-0.5, -0.6, -0.4, 9), "accuracy", 1.0)
    assert refused == "fp16 gives outputs that are not finite numbers"


def test_doubt_is_about_the_high_end_of_the_interval() -> None:
    assert doubt(PairedLoss(0.001, -0.002, 0.005, 400), 0.005) is None
    assert doubt(PairedLoss(0.0, -0.03, 0.02, 500), 0.01) == (
        "500 rows cannot exclude a loss of 2.00 points; about 2,000 rows could"
    )


def test_doubt_promises_no_rows_where_more_would_not_help() -> None:
    unsure = "100 rows cannot exclude a loss of 2.00 points"
    assert doubt(PairedLoss(0.0, -0.03, 0.02, 100), 0.0) == unsure
    # The loss itself is above the budget, and the interval is narrow.
    assert doubt(PairedLoss(0.019, 0.018, 0.02, 100), 0.01) == unsure
    assert doubt(PairedLoss(0.01, 0.0, 0.02, 100), 0.01) == unsure  # as many as there are


def test_a_result_under_a_budget_is_refused_and_doubted() -> None:
    loss = PairedLoss(0.02, 0.01, 0.03, 100)
    metrics = {"accuracy": 0.9}
    strict = GateResult.of("int8", PARITY, loss, "accuracy", metrics, budget=0.01)
    assert "above the budget of 1.00 points" in (strict.refused or "")
    assert "cannot exclude a loss of 3.00 points" in (strict.uncertain or "")
    wide = GateResult.of("int8", PARITY, loss, "accuracy", metrics, budget=0.03)
    assert wide == GateResult("int8", PARITY, loss, "accuracy", metrics, None, None)


def test_the_same_answers_are_whole_texts_where_texts_are_written() -> None:
    assert same_answers({"agreement": 0.99}) == 0.99
    assert same_answers({"agreement": 0.99, "identical": 0.8}) == 0.8


def test_points_are_hundredths() -> None:
    assert (points(0.0123), points(-0.5)) == ("1.23 points", "-50.00 points")
    assert EXPECTED_AGREEMENT == "expected agreement with PyTorch"


ANSWERS = [[{"label": "bad", "score": 0.9}, {"label": "good", "score": 0.1}]] * 3
TARGETS = [0, 1, 0]


def test_rows_contribute_to_the_metric_and_against_it_where_less_is_better() -> None:
    accuracy = ClassificationEvaluation(["bad", "good"])
    assert contributions(accuracy, ANSWERS, TARGETS).tolist() == [1.0, 0.0, 1.0]
    bits = TextGenerationEvaluation([])
    given = [Likelihood(math.log(2) * 8, 4, 4), Likelihood(math.log(2) * 4, 4, 4)]
    found = contributions(bits, given, [None, None])
    np.testing.assert_allclose(found, -bits.per_example(given, [None, None]))
    assert (found < 0).all()


def test_metrics_are_those_of_the_evaluation_to_six_places() -> None:
    accuracy = ClassificationEvaluation(["bad", "good"])
    assert metrics_of(accuracy, ANSWERS, TARGETS)["accuracy"] == 0.666667
    assert metrics_of(None, ANSWERS, TARGETS) == {}
    assert metrics_of(accuracy, None, TARGETS) == {}
    assert metrics_of(accuracy, ANSWERS, None) == {}


def test_the_means_of_a_single_number_and_the_border_of_a_yes() -> None:
    parity = Parity()
    parity.add(np.array([1.0]), np.array([0.5]))
    assert parity.summary()["mean_abs_diff"] == 0.5
    assert expected_regret(np.array([2.0]), np.array([0.0])) > 0.5  # zero is a no
    assert expected_regret(np.array([0.0]), np.array([1.0])) == 0.0
    assert expected_regret(np.array([0.3]), np.array([0.7])) == 0.0


@pytest.mark.parametrize(
    "wrong", [{"budget": math.nan}, {"budget": 2.0}, {"repair_seconds": math.nan}]
)
def test_a_budget_that_refuses_nothing_is_no_budget(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(wrong))} is "):
        ExportConfig("model", Path("out"), None, **wrong)  # type: ignore[arg-type]  # no task is read

"""The paired loss and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from nlplug.export.paired import PairedLoss, _resampled_means, paired_loss


def test_the_mean_is_that_of_the_differences() -> None:
    loss = paired_loss(np.array([1.0, 1, 1, 0]), np.array([1.0, 0, 1, 1]))
    assert (loss.mean, loss.rows) == (0.0, 4)


def test_the_interval_is_that_of_the_normal_law_where_rows_are_many() -> None:
    reference, candidate = np.ones(10_000), np.ones(10_000)
    candidate[:200] = 0.0
    loss = paired_loss(reference, candidate)
    spread = 1.96 * np.sqrt(0.02 * 0.98 / 10_000)
    assert loss.mean == pytest.approx(0.02)
    assert loss.low == pytest.approx(0.02 - spread, abs=2e-4)
    assert loss.high == pytest.approx(0.02 + spread, abs=2e-4)


def test_values_of_many_kinds_are_resampled_row_by_row() -> None:
    difference = np.random.default_rng(0).normal(0.1, 1.0, 2_000)
    loss = paired_loss(difference, np.zeros(2_000))
    assert loss.low == pytest.approx(loss.mean - 1.96 / np.sqrt(2_000), abs=2e-3)
    assert loss.high == pytest.approx(loss.mean + 1.96 / np.sqrt(2_000), abs=2e-3)


def test_the_same_rows_give_the_same_interval() -> None:
    reference = np.random.default_rng(0).integers(0, 2, 300).astype(float)
    assert paired_loss(reference, reference[::-1]) == paired_loss(reference, reference[::-1])


def test_rows_that_never_differ_leave_room_for_three_in_n() -> None:
    loss = paired_loss(np.ones(600), np.ones(600))
    assert (loss.mean, loss.low, loss.high) == (0.0, -0.005, 0.005)
    assert loss.rows_needed(0.005) == 600


def test_a_narrower_interval_needs_rows_by_the_square() -> None:
    assert PairedLoss(0.0, -0.03, 0.02, 500).rows_needed(0.01) == 2000
    assert PairedLoss(0.0, -0.03, 0.02, 500).rows_needed(0.0) is None


def test_no_rows_exclude_nothing() -> None:
    assert paired_loss(np.array([]), np.array([])) == PairedLoss(0.0, -1.0, 1.0, 0)


def test_a_gain_is_a_negative_loss() -> None:
    loss = paired_loss(np.array([0.0, 0, 1, 0]), np.array([1.0, 1, 1, 1]))
    assert (loss.mean, loss.rows) == (-0.75, 4)
    assert loss.low <= loss.mean <= loss.high


def test_the_interval_holds_95_percent_of_the_resampled_means() -> None:
    difference = np.repeat([0.0, 1.0], [80, 20])
    loss = paired_loss(difference, np.zeros(100))
    means = _resampled_means(difference)
    assert (means < loss.low).mean() <= 0.025 <= (means <= loss.low).mean()
    assert (means > loss.high).mean() <= 0.025 <= (means >= loss.high).mean()


@pytest.mark.parametrize("difference", [np.repeat([0.0, 0.5], [9, 3]), np.arange(1_300) / 1_300])
def test_each_resample_has_as_many_rows_and_none_is_lost(difference: np.ndarray) -> None:
    means = _resampled_means(difference)
    assert means.shape == (4_000,)
    spread = difference.std() / np.sqrt(len(difference))
    assert means.mean() == pytest.approx(difference.mean(), abs=0.1 * spread)
    assert means.std() == pytest.approx(spread, rel=0.05)
    assert len(np.unique(means)) > 5


@pytest.mark.parametrize(("rows", "bound"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.75), (300, 0.01)])
def test_three_in_n_is_at_most_every_row(rows: int, bound: float) -> None:
    loss = paired_loss(np.full(rows, 0.5), np.full(rows, 0.5))
    assert loss == PairedLoss(0.0, -bound, bound, rows)


@pytest.mark.parametrize(
    ("loss", "budget", "needed"),
    [
        (PairedLoss(0.0, -0.02, 0.02, 150), 0.01, 300),  # nothing changed: by three in n
        (PairedLoss(0.01, -0.02, 0.02, 150), 0.005, 600),  # the width counts from the mean
        (PairedLoss(0.0, -0.01, 0.02, 150), 0.01, 600),
        (PairedLoss(0.0, -0.03, 0.02, 3), 0.015, 6),  # rounded up
        (PairedLoss(0.0, -0.02, 0.02, 1), 0.01, 2),
        (PairedLoss(0.0, -1.0, 1.0, 0), 0.01, None),
        (PairedLoss(0.0, -0.02, 0.02, 150), -0.01, None),
        (PairedLoss(0.0, -0.02, 0.02, 150), 0.0, None),
        (PairedLoss(0.0, -2.0, 2.0, 100), 1.0, 200),
    ],
)
def test_rows_that_are_needed(loss: PairedLoss, budget: float, needed: int | None) -> None:
    assert loss.rows_needed(budget) == needed


@pytest.mark.parametrize("rows", [65, 1500])
def test_rows_are_drawn_again_with_the_same_seed(rows: int) -> None:
    difference = np.random.default_rng(1).normal(size=rows)
    drawn = np.random.default_rng(20260101).integers(0, rows, (4000, rows))
    low, high = np.quantile(difference[drawn].mean(axis=1), [0.025, 0.975])
    loss = paired_loss(difference, np.zeros(rows))
    assert (loss.low, loss.high) == pytest.approx((low, high), abs=1e-12)
    assert (loss.mean, loss.rows) == (pytest.approx(difference.mean()), rows)


def test_up_to_64_values_are_drawn_by_their_numbers() -> None:
    difference = np.concatenate([np.arange(64), np.arange(32)]) / 64
    shares = np.concatenate([np.full(32, 2), np.full(32, 1)]) / 96
    drawn = np.random.default_rng(20260101).multinomial(96, shares, size=4000)
    low, high = np.quantile(drawn @ (np.arange(64) / 64) / 96, [0.025, 0.975])
    loss = paired_loss(difference, np.zeros(96))
    assert (loss.low, loss.high) == pytest.approx((low, high), abs=1e-12)


def test_numbers_of_any_type_are_compared_as_float64() -> None:
    loss = paired_loss(np.array([True, True, False]), np.array([False, True, True]))
    assert loss.mean == 0.0
    assert (loss.low, loss.high) == (pytest.approx(-1.0, abs=0.1), pytest.approx(1.0, abs=0.1))


@pytest.mark.parametrize(("rows", "bound"), [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.75)])
def test_the_rule_of_three_ends_at_all_rows(rows: int, bound: float) -> None:
    assert paired_loss(np.ones(rows), np.ones(rows)) == PairedLoss(0.0, -bound, bound, rows)


@pytest.mark.parametrize(
    ("loss", "budget", "needed"),
    [
        (PairedLoss(0.0, -0.02, 0.02, 500), 0.01, 1000),  # no row differs: by the rule of three
        (PairedLoss(0.0, -0.02, 0.02, 500), 0.03, 334),
        (PairedLoss(0.01, -0.03, 0.03, 500), 0.01, 2000),
        (PairedLoss(0.0, -0.02, 0.03, 500), 0.01, 4500),
        (PairedLoss(0.0, -1.0, 1.0, 1), 0.5, 2),
        (PairedLoss(0.0, -1.0, 1.0, 0), 0.5, None),
        (PairedLoss(0.0, -0.5, 0.5, 9), -0.5, None),
        (PairedLoss(0.0, -0.5, 0.5, 9), 0.0, None),
        (PairedLoss(0.0, -2.0, 2.0, 9), 1.0, 18),
    ],
)
def test_rows_needed(loss: PairedLoss, budget: float, needed: int | None) -> None:
    assert loss.rows_needed(budget) == needed

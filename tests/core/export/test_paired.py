"""The paired loss and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from nlplug.export.paired import PairedLoss, paired_loss


def test_the_mean_is_that_of_the_differences() -> None:
    loss = paired_loss(np.array([1.0, 1, 1, 0]), np.array([1.0, 0, 1, 1]))
    assert (loss.mean, loss.rows) == (0.0, 4)


def test_the_interval_is_that_of_the_normal_law_where_rows_are_many() -> None:
    reference, candidate = np.ones(10_000), np.ones(10_000)
    candidate[:200] = 0.0
    loss = paired_loss(reference, candidate)
    spread = 1.96 * np.sqrt(0.02 * 0.98 / 10_000)
    assert loss.mean == pytest.approx(0.02)
    assert loss.low == pytest.approx(0.02 - spread, abs=3e-4)
    assert loss.high == pytest.approx(0.02 + spread, abs=3e-4)


def test_values_of_many_kinds_are_resampled_row_by_row() -> None:
    difference = np.random.default_rng(0).normal(0.1, 1.0, 2_000)
    loss = paired_loss(difference, np.zeros(2_000))
    assert loss.low == pytest.approx(loss.mean - 1.96 / np.sqrt(2_000), abs=5e-3)
    assert loss.high == pytest.approx(loss.mean + 1.96 / np.sqrt(2_000), abs=5e-3)


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

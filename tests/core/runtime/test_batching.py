"""Rows go into batches within the token budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nlplug.runtime.batching import plan

lengths = st.lists(st.integers(1, 600), max_size=80)


@given(lengths, st.integers(1, 2048))
def test_every_row_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))


@given(lengths, st.integers(1, 2048))
def test_a_padded_batch_keeps_to_the_budget_unless_one_row_alone_exceeds_it(
    lengths: list[int], budget: int
) -> None:
    for batch in plan(lengths, budget):
        padded = max(lengths[i] for i in batch) * len(batch)
        assert padded <= budget or len(batch) == 1


def test_rows_of_like_length_share_a_batch() -> None:
    assert plan([2, 10, 2, 10], 20) == [[1, 3], [0, 2]]


@given(lengths, st.integers(1, 2048))
def test_rows_of_unequal_length_are_kept_apart_on_demand(lengths: list[int], budget: int) -> None:
    batches = plan(lengths, budget, equal=True)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len({lengths[i] for i in batch}) == 1 for batch in batches)


@given(lengths, st.integers(1, 4))
def test_a_batch_has_no_more_rows_than_it_may(lengths: list[int], rows: int) -> None:
    assert all(len(batch) <= rows for batch in plan(lengths, 512, rows=rows))

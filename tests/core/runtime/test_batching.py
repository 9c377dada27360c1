"""Rows go into batches within the token budget, and come out padded and masked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlplug.families.one_pass import Row
from nlplug.runtime.batching import collate, plan

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


def test_padding_is_masked_and_uses_the_pad_token() -> None:
    rows = [Row({"input_ids": [5, 6, 7]}), Row({"input_ids": [8]})]
    feeds = collate(rows, frozenset({"input_ids", "attention_mask"}), pad_token_id=9)
    np.testing.assert_array_equal(feeds["input_ids"], [[5, 6, 7], [8, 9, 9]])
    np.testing.assert_array_equal(feeds["attention_mask"], [[1, 1, 1], [1, 0, 0]])
    assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}


def test_only_declared_feeds_are_made() -> None:
    rows = [Row({"input_ids": [1], "token_type_ids": [1]})]
    assert set(collate(rows, frozenset({"input_ids"}))) == {"input_ids"}


def test_token_types_of_a_pair_are_fed_and_those_of_a_single_text_are_zero() -> None:
    names = frozenset({"input_ids", "token_type_ids"})
    pair = collate([Row({"input_ids": [1, 2], "token_type_ids": [0, 1]})], names)
    single = collate([Row({"input_ids": [1, 2]})], names)
    np.testing.assert_array_equal(pair["token_type_ids"], [[0, 1]])
    np.testing.assert_array_equal(single["token_type_ids"], [[0, 0]])

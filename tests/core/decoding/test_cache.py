"""The cache holds the keys and values of each row, whatever is done with the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nlplug.errors import OptionError
from nlplug.runtime.decoding import cache as module
from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import DecoderSpec

SPEC = DecoderSpec(layers=2, kv_heads=3, head_size=4, vocabulary=9, context=500, positions=False)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def filled(rows: int, capacity: int) -> tuple[Cache, np.ndarray]:
    """A cache full of numbers, and a copy of them."""
    cache = Cache(SPEC, rows, capacity)
    cache._memory[...] = numbers(*cache._memory.shape)
    return cache, cache._memory.copy()


@pytest.mark.parametrize(
    ("asked", "capacity"), [(1, 32), (32, 32), (33, 64), (490, 500), (500, 500)]
)
def test_its_capacity_is_a_multiple_of_32_up_to_the_context(asked: int, capacity: int) -> None:
    cache = Cache(SPEC, 5, asked)
    assert (cache.rows, cache.capacity) == (5, capacity)
    assert cache.nbytes == 2 * 2 * 5 * 3 * capacity * 4 * 4
    assert not cache._memory.any()


@pytest.mark.parametrize(
    ("capacity", "asked", "grown"),
    [
        (64, 65, 96),
        (64, 96, 96),
        (64, 97, 128),
        (64, 200, 224),
        (256, 257, 384),
        (384, 385, 500),
        (32, 33, 64),
    ],
)
@pytest.mark.parametrize("tokens", [0, 1, 31])
def test_it_grows_by_half_at_least_and_keeps_every_token(
    capacity: int, asked: int, grown: int, tokens: int
) -> None:
    cache, before = filled(2, capacity)
    tokens = capacity - tokens
    assert cache.reserve(asked, tokens)
    assert cache.capacity == grown
    np.testing.assert_array_equal(cache._memory[..., :tokens, :], before[..., :tokens, :])
    assert not cache._memory[..., tokens:, :].any()


def test_it_stays_where_there_is_room() -> None:
    cache, _ = filled(2, 64)
    memory = cache._memory
    assert not cache.reserve(64, 10)
    assert not cache.reserve(63, 10)
    assert cache._memory is memory


def test_repeated_rows_are_adjacent() -> None:
    cache, before = filled(3, 32)
    cache.repeat(2, np.array([5, 32, 7], np.int32))
    assert (cache.rows, cache.capacity) == (6, 32)
    np.testing.assert_array_equal(cache._memory, before[:, :, [0, 0, 1, 1, 2, 2]])
    cache.repeat(2, np.array([5, 5, 9, 9, 7, 7], np.int32))
    np.testing.assert_array_equal(
        cache._memory[:, :, :, :, :9], before[:, :, [0] * 4 + [1] * 4 + [2] * 4, :, :9]
    )
    assert not cache._memory[:, :, :, :, 9:].any()


@pytest.mark.parametrize(
    ("kept", "order"),
    [
        ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ([0, 1], [0, 1]),
        ([3, 4], [3, 4]),
        ([1, 2, 4], [4, 1, 2]),
        ([0, 2, 3], [0, 3, 2]),
        ([4], [4]),
    ],
)
def test_rows_that_stay_fill_the_gaps_from_the_end(kept: list[int], order: list[int]) -> None:
    cache, before = filled(5, 32)
    memory = cache._memory
    found = cache.keep(np.array(kept), np.array([3, 4, 32, 6, 7], np.int32))
    assert found.tolist() == order
    np.testing.assert_array_equal(cache._memory, before[:, :, order])
    assert np.shares_memory(cache._memory, memory)
    assert cache._memory[0, 0].flags.c_contiguous


def test_only_tokens_in_use_are_copied_when_rows_leave() -> None:
    cache, before = filled(3, 32)
    cache.keep(np.array([2]), np.array([3, 4, 5], np.int32))
    np.testing.assert_array_equal(cache._memory[:, :, 0, :, :5], before[:, :, 2, :, :5])
    np.testing.assert_array_equal(cache._memory[:, :, 0, :, 5:], before[:, :, 0, :, 5:])


class Rows:
    """Prompts with several beams each: what the cache must hold, kept as plain lists."""

    def __init__(self, lengths: list[int], copies: int) -> None:
        self.random = np.random.default_rng(len(lengths) * copies)
        self.cache = Cache(SPEC, len(lengths), max(lengths))
        self.lengths = np.array(lengths, np.int32)
        self.tokens = [self._append(row, length) for row, length in enumerate(lengths)]
        self.cache.repeat(copies, self.lengths)
        index = np.repeat(np.arange(len(lengths)), copies)
        self.lengths, self.origin = self.lengths[index], index
        self.tokens = [self.tokens[row] for row in index]

    def _append(self, row: int, count: int) -> list[np.ndarray]:
        made = []
        for place in range(count):
            values = self.random.standard_normal((2, 2, 3, 4), np.float32)
            self.cache._memory[:, :, row, :, place] = values
            made.append(values)
        return made

    def step(self) -> None:
        """Each beam follows a random one of its prompt, then gets a token of its own."""
        parents = np.array(
            [self.random.choice(np.flatnonzero(self.origin == own)) for own in self.origin]
        )
        self.cache.follow(parents, self.lengths)
        self.tokens = [list(self.tokens[parent]) for parent in parents]
        self.cache.reserve(int(self.lengths.max()) + 1, int(self.lengths.max()))
        for row, tokens in enumerate(self.tokens):
            values = self.random.standard_normal((2, 2, 3, 4), np.float32)
            self.cache._memory[:, :, row, :, self.lengths[row]] = values
            tokens.append(values)
        self.lengths += 1

    def drop(self, prompt: int) -> None:
        order = self.cache.keep(np.flatnonzero(self.origin != prompt), self.lengths)
        self.lengths, self.origin = self.lengths[order], self.origin[order]
        self.tokens = [self.tokens[row] for row in order]

    def check(self) -> None:
        for row, tokens in enumerate(self.tokens):
            held = self.cache._memory[:, :, row, :, : self.lengths[row]]
            np.testing.assert_array_equal(held, np.stack(tokens, axis=3))


@pytest.mark.parametrize(
    ("lengths", "copies"),
    [([4], 3), ([4, 5, 6], 4), ([1, 30, 7], 4), ([31, 31], 2), ([2, 3, 4, 5], 1)],
)
def test_beams_hold_the_tokens_of_the_beams_that_they_follow(
    lengths: list[int], copies: int
) -> None:
    rows = Rows(lengths, copies)
    for number in range(40):
        rows.step()
        rows.check()
        if number in (13, 26) and len(set(rows.origin)) > 1:
            rows.drop(int(rows.origin[0]))
            rows.check()


def test_beams_may_exchange_their_content() -> None:
    rows = Rows([3], 2)
    rows.step()
    held = [rows.cache._memory[:, :, row, :, :4].copy() for row in range(2)]
    rows.cache.follow(np.array([1, 0]), rows.lengths)
    np.testing.assert_array_equal(rows.cache._memory[:, :, 0, :, :4], held[1])
    np.testing.assert_array_equal(rows.cache._memory[:, :, 1, :, :4], held[0])


def test_tokens_that_two_beams_have_in_common_are_not_copied() -> None:
    rows = Rows([3], 2)
    mark = np.float32(77)
    rows.cache._memory[:, :, 1, :, 2] = mark
    rows.cache.follow(np.array([0, 0]), rows.lengths)  # the two are known to be equal
    assert (rows.cache._memory[:, :, 1, :, 2] == mark).all()
    for row in range(2):
        rows.cache._memory[:, :, row, :, 3] = row
    rows.cache.follow(np.array([0, 0]), rows.lengths + 1)  # only the new token differs
    assert (rows.cache._memory[:, :, 1, :, 2] == mark).all()
    assert (rows.cache._memory[:, :, 1, :, 3] == 0).all()
    rows.cache._memory[:, :, 1, :, 3] = mark
    for row in range(2):
        rows.cache._memory[:, :, row, :, 4] = row
    rows.cache.follow(np.array([1, 1]), rows.lengths + 2)
    assert (rows.cache._memory[:, :, 0, :, 3] == 0).all()
    assert (rows.cache._memory[:, :, 0, :, 4] == 1).all()


def test_rows_that_follow_themselves_change_nothing() -> None:
    cache, before = filled(3, 32)
    common = cache._common.copy()
    cache.follow(np.arange(3), np.array([3, 4, 5], np.int32))
    np.testing.assert_array_equal(cache._memory, before)
    np.testing.assert_array_equal(cache._common, common)


def test_it_is_bound_as_past_and_present_of_every_layer() -> None:
    class Binding:
        """What ONNX Runtime is given, by name."""

        def __init__(self) -> None:
            self.inputs: dict[str, int] = {}
            self.outputs: dict[str, int] = {}

        def bind_ortvalue_input(self, name: str, value: Any) -> None:
            self.inputs[name] = value.data_ptr()

        def bind_ortvalue_output(self, name: str, value: Any) -> None:
            self.outputs[name] = value.data_ptr()

    cache, binding = Cache(SPEC, 2, 32), Binding()
    cache.bind(binding)
    memory = {
        f"{layer}.{name}": cache._memory[layer, part].ctypes.data
        for layer in range(2)
        for part, name in enumerate(("key", "value"))
    }
    assert binding.inputs == {f"past_key_values.{name}": at for name, at in memory.items()}
    assert binding.outputs == {f"present.{name}": at for name, at in memory.items()}


@pytest.mark.parametrize(
    ("lengths", "added", "capacity"),
    [([5, 32], [7], 32), ([5], [40, 3], 64), ([33, 4], [5], 64), ([3], [32, 32, 9], 32)],
)
def test_added_rows_come_behind_the_others(
    lengths: list[int], added: list[int], capacity: int
) -> None:
    cache, before = filled(len(lengths), max(lengths))
    other, more = filled(len(added), max(added))
    cache.add(other, np.array(lengths), np.array(added))
    assert (cache.rows, cache.capacity) == (len(lengths) + len(added), capacity)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(
            cache._memory[:, :, row, :, :length], before[:, :, row, :, :length]
        )
    for row, length in enumerate(added):
        np.testing.assert_array_equal(
            cache._memory[:, :, len(lengths) + row, :, :length], more[:, :, row, :, :length]
        )
    np.testing.assert_array_equal(other._memory, more)
    assert cache._memory[0, 0].flags.c_contiguous


def test_rows_are_added_one_by_one_with_few_copies_of_all() -> None:
    cache, one = Cache(SPEC, 1, 32), filled(1, 32)[0]
    blocks = [cache._memory.ctypes.data]
    for rows in range(2, 17):
        cache.add(one, np.full(rows - 1, 32), np.array([32]))
        if cache._memory.ctypes.data != blocks[-1]:
            blocks.append(cache._memory.ctypes.data)
    assert (cache.rows, len(blocks)) == (16, 5)  # 1, 2, 4, 8 and 16 rows
    cache.keep(np.arange(3), np.full(16, 32))
    cache.add(one, np.full(3, 32), np.array([32]))
    assert cache._memory.ctypes.data == blocks[-1]
    # Memory for tokens is added to that of all rows, used or not.
    assert cache.reserve(33, 32)
    blocks.append(cache._memory.ctypes.data)
    cache.add(one, np.full(4, 33), np.array([32]))
    assert (cache._memory.ctypes.data, cache.capacity) == (blocks[-1], 64)


def test_taken_rows_are_a_copy() -> None:
    cache, before = filled(4, 64)
    lengths = np.array([60, 40, 9, 31], np.int32)
    taken = cache.take(np.array([3, 1]), lengths)
    assert (taken.rows, taken.capacity) == (2, 64)
    np.testing.assert_array_equal(taken._memory[..., :40, :], before[:, :, [3, 1], :, :40])
    taken._memory[...] = 0
    np.testing.assert_array_equal(cache._memory, before)
    assert cache.take(np.array([2]), lengths).capacity == 32
    assert cache.take(np.array([3]), np.array([1, 1, 1, 32])).capacity == 64  # room for one more


def test_added_and_taken_beams_know_what_they_have_in_common() -> None:
    rows = Rows([3, 5], 2)
    others = Rows([4], 3)
    for each in (rows, others):
        each.step()
        each.step()
    rows.cache.add(others.cache, rows.lengths, others.lengths)
    lengths = np.concatenate([rows.lengths, others.lengths])
    tokens = [*rows.tokens, *others.tokens]
    parents = np.array([1, 0, 2, 2, 6, 4, 5])
    rows.cache.follow(parents, lengths)
    for row, parent in enumerate(parents):
        held = rows.cache._memory[:, :, row, :, : lengths[parent]]
        np.testing.assert_array_equal(held, np.stack(tokens[parent], axis=3))
    for first, second in [(4, 5), (0, 4)]:
        taken = rows.cache.take(np.array([first, second]), lengths)
        taken.follow(np.array([1, 1]), lengths[[first, second]])
        for row in range(2):
            held = taken._memory[:, :, row, :, : lengths[second]]
            np.testing.assert_array_equal(held, np.stack(tokens[parents[second]], axis=3))


def test_large_memory_grows_and_is_empty_at_first() -> None:
    cache, before = filled(40, 320)
    assert cache.nbytes > module._SMALL
    assert cache.reserve(321, 320)
    np.testing.assert_array_equal(cache._memory[..., :320, :], before)
    assert not cache._memory[..., 320:, :].any()


def test_a_cache_that_the_machine_cannot_hold_is_refused_with_its_size() -> None:
    endless = replace(SPEC, context=1 << 60)
    with pytest.raises(OptionError, match=r"1,024 rows with .* GB") as refused:
        Cache(endless, 1024, 1 << 50)
    assert "num_beams" in str(refused.value.hint)

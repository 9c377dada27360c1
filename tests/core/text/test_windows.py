"""Windows cover a text without a gap, and neighbours share as many tokens as the stride says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlplug.errors import OptionError
from nlplug.text.windows import window_spans


@given(tokens=st.integers(0, 60), room=st.integers(1, 12), data=st.data())
def test_windows_are_full_but_the_last_and_share_the_stride(
    tokens: int, room: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(0, room - 1))
    windows = window_spans(tokens, room, stride)
    assert windows[0].start == 0
    assert windows[-1].stop == tokens
    assert all(window.stop - window.start == room for window in windows[:-1])
    for one, two in pairwise(windows):
        assert one.stop - two.start == stride
        assert two.stop > one.stop


@pytest.mark.parametrize(
    ("tokens", "spans"),
    [(0, [(0, 0)]), (4, [(0, 4)]), (5, [(0, 4), (4, 5)]), (8, [(0, 4), (4, 8)])],
)
def test_without_a_stride_no_token_is_in_two_windows(
    tokens: int, spans: list[tuple[int, int]]
) -> None:
    assert [(window.start, window.stop) for window in window_spans(tokens, 4)] == spans


@pytest.mark.parametrize(
    ("room", "stride", "hint"),
    [
        (4, 4, "Give a stride from 0 to 3."),
        (1, 9, "Give a stride from 0 to 0."),
        (0, 0, "Use a model with a longer window."),
        (-2, 0, "Use a model with a longer window."),
    ],
)
def test_a_stride_that_leaves_no_room_names_both_numbers(room: int, stride: int, hint: str) -> None:
    with pytest.raises(OptionError) as raised:
        window_spans(5, room, stride)
    assert f"stride is {stride}, but a window has room for {max(room, 0)} tokens" in str(
        raised.value
    )
    assert raised.value.hint == hint


def test_a_stride_does_not_matter_where_one_window_is_enough() -> None:
    assert window_spans(4, 4, 9) == [slice(0, 4)]

"""Spans hold whole characters, whatever a reader takes for one."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nlplug.text.characters import widen


def widened(text: str, start: int, end: int) -> str:
    starts, ends = widen(text, np.array([start], dtype=np.int32), np.array([end], dtype=np.int32))
    return text[starts[0] : ends[0]]


@pytest.mark.parametrize(
    "characters",
    [
        "J|o|s|e\u0301| |x",
        "e\u0301\u0323\u20dd|x",  # an enclosing mark
        "❤\ufe0f|x",
        "☺\ufe0e|x",
        "👍🏽|!",
        "👩🏽\u200d🚀|👩",
        "👩\u200d❤\ufe0f\u200d👨|x",
        "🙂\u200d↔\ufe0f|x",
        "🇫🇷|🇨🇳|🇩",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f|x",
        "हि|न्|दी",  # vowel signs that take room
        "กี่|น",
        "\u1112\u1161\u11ab|\u1100\u1173\u11af",  # Korean in parts
        "ｶﾞ|ｽ",
        "\u0301|a",
        "a| |\u0301\u0302|\n|\u0301",
        "a\u200d|❤",
        "x|\u200b|y",
        "n|a|ï|v|e",
        "",
    ],
)
def test_a_span_of_a_part_becomes_one_of_the_whole(characters: str) -> None:
    parts = characters.split("|")
    text = "".join(parts)
    edges = np.cumsum([0, *map(len, parts)]).tolist()
    for (begin, end), part in zip(pairwise(edges), parts, strict=True):
        for place in range(begin, end):
            assert widened(text, place, place + 1) == part
            assert widened(text, 0, place + 1) == text[:end]


def test_a_span_of_nothing_stays_one() -> None:
    assert widened("e\u0301", 1, 1) == ""


def test_a_mark_may_follow_a_mark_a_hundred_thousand_times() -> None:
    text = "a" + "\u0301" * 100_000
    assert widened(text, 0, 1) == text


ODD = "aé \t\u0301\u0302\ufe0f\u200d👩🚀❤♂🏽🇫🇷我"


@settings(deadline=None)
@given(text=st.text(ODD, max_size=14), data=st.data())
def test_only_what_is_needed_is_added(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    starts, ends = widen(text, np.array([start]), np.array([end]))
    assert starts[0] <= start <= end <= ends[0]
    again = widen(text, starts, ends)
    assert (again[0][0], again[1][0]) == (starts[0], ends[0])
    if text[start:end].strip() == text[start:end]:
        assert text[starts[0] : ends[0]].strip() == text[starts[0] : ends[0]]


@settings(deadline=None)
@given(text=st.text(ODD.replace(" ", "").replace("\t", ""), max_size=14))
def test_characters_are_those_of_unicode(text: str) -> None:
    regex = pytest.importorskip("regex")
    # There two joiners in one character join nothing.
    assume(not re.search("\u200d[\u0301\u0302\ufe0f🏽]*\u200d", text))
    for character in regex.finditer(r"\X", text):
        for place in range(*character.span()):
            assert widened(text, place, place + 1) == character.group()

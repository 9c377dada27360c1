"""Windows become one sequence, offsets lose their spaces, and words are found in any script."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug.families.token_classification.tagged_text import Tags, merge, trim
from nlplug.text.words import word_breaks


@settings(deadline=None)
@given(total=st.integers(1, 60), room=st.integers(2, 12), data=st.data())
def test_each_token_comes_once_from_the_window_that_saw_most_around_it(
    total: int, room: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(0, room - 1))
    begins = range(0, max(1, total - stride), room - stride) if total > room else [0]
    windows = [
        np.array([(token, number) for token in range(begin, min(begin + room, total))])
        for number, begin in enumerate(begins)
    ]
    merged = merge(windows, stride)
    assert merged[:, 0].tolist() == list(range(total))

    def context(token: int, number: int) -> float:
        first, last = windows[number][[0, -1], 0]
        left = np.inf if number == 0 else token - first
        right = np.inf if number == len(windows) - 1 else last - token
        return float(min(left, right))

    for token, chosen in merged.tolist():
        holders = [n for n, rows in enumerate(windows) if token in rows[:, 0]]
        assert context(token, chosen) == max(context(token, number) for number in holders)


@settings(deadline=None)
@given(text=st.text(" \t\xa0\u3000ab\u0301😀", max_size=12), data=st.data())
def test_trimmed_offsets_are_those_of_the_stripped_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    starts, ends = trim(text, np.array([[start, end]], dtype=np.int32))
    assert 0 <= starts[0] <= ends[0] <= len(text)
    assert text[starts[0] : ends[0]] == text[start:end].strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two", "one| |two"),
        ("(Paris, France).", "(|Paris|,| |France|)."),
        ("$5.975,74!", "$|5.975,74|!"),
        ("Jean-Baptiste's", "Jean|-|Baptiste|'|s"),
        ("cafe\u0301, e\u0301", "cafe\u0301|,| |e\u0301"),
        ("tab\tand\nline", "tab|\t|and|\n|line"),
        ("--- ...", "---| |..."),
        ("❤\ufe0fhi!", "❤\ufe0f|hi|!"),
        ("我在2019年", "我|在|2019|年"),
        ("שלום, עולם", "שלום|,| |עולם"),
        ("กี่", "กี่"),
        ("\u0301a", "\u0301|a"),
    ],
)
def test_words_are_letters_and_digits_and_what_stands_beside_them_is_apart(
    text: str, words: str
) -> None:
    places = np.flatnonzero(word_breaks(text))
    assert [text[a:b] for a, b in pairwise(places)] == words.split("|")


def tags(text: str, offsets: list[tuple[int, int]], **more: object) -> Tags:
    starts, ends = np.array(offsets).T
    no = np.zeros(len(offsets), dtype=bool)
    values = {"unknown": no, "bare": no, "words": None} | more
    return Tags(text, 1, starts, ends, scores=np.ones((len(offsets), 1)), **values)  # type: ignore[arg-type]


def test_the_words_of_a_tokenizer_that_knows_them_are_taken_as_they_are() -> None:
    known = np.array([0, 0, 1, 2])
    found = tags("do-it.", [(0, 1), (1, 2), (2, 5), (5, 6)], words=known)
    assert found.word_starts.tolist() == [0, 2, 3]


def test_an_unknown_token_begins_a_word() -> None:
    found = tags("abc", [(0, 1), (1, 2), (2, 3)], unknown=np.array([False, True, False]))
    assert found.word_starts.tolist() == [0, 1]


def test_a_bare_mark_before_the_first_word_is_no_part_of_it() -> None:
    """SentencePiece gives the mark that stands alone the place of the character behind it."""
    found = tags("我们", [(0, 1), (0, 1), (1, 2)], bare=np.array([True, False, False]))
    assert not found.shared.any()
    assert found.word_starts.tolist() == [0, 1, 2]
    starts, ends = found.spans(found.word_starts)
    assert (starts < ends).tolist() == [False, True, True]


def test_the_tokens_of_one_character_are_one_word_and_share_its_place() -> None:
    found = tags("你好", [(0, 1), (0, 1), (1, 2), (1, 2), (1, 2)])
    assert found.shared.tolist() == [False, True, False, True, True]
    assert found.word_starts.tolist() == [0, 2]
    assert [place.tolist() for place in found.spans(found.word_starts)] == [[0, 1], [1, 2]]

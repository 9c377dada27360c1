"""Answers as HTML: every display, every shape, and nothing that is not escaped."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nlplug.task import Display
from nlplug_webui.render import MAX_CHARACTERS, answer_html, summary

EVIL = '<script>alert("x")</script>'


def html(display: Display, answer: Any, **item: Any) -> str:
    return answer_html(display, answer, item, "en")


def test_labels_are_bars_with_the_strongest_first() -> None:
    shown = html(
        Display.LABEL, [{"label": "no", "score": 0.25}, {"label": "yes", "score": 0.75}], text="x"
    )
    assert re.findall(r"np-bar-name\">(\w+)<", shown) == ["yes", "no"]
    assert re.findall(r"width:([\d.]+)%", shown) == ["75.00", "25.00"]
    assert "75.0%" in shown


def test_scores_that_are_no_probabilities_are_scaled_to_the_widest() -> None:
    shown = html(Display.LABEL, [{"label": "a", "score": 8.0}, {"label": "b", "score": -4.0}])
    assert re.findall(r"width:([\d.]+)%", shown) == ["100.00", "50.00"]
    assert "8.000" in shown
    assert "-4.000" in shown


def test_spans_are_marked_where_they_stand() -> None:
    text = "Ada met Bob."
    shown = html(
        Display.HIGHLIGHT,
        [
            {"entity_group": "PER", "score": 0.9, "word": "Ada", "start": 0, "end": 3},
            {"entity_group": "PER", "score": 0.8, "word": "Bob", "start": 8, "end": 11},
        ],
        text=text,
    )
    marked = re.sub(r"<span class=\"np-mark-name\">.*?</span>", "", shown.split("<div", 2)[1])
    assert re.findall(r"<mark[^>]*>([^<]*)", marked) == ["Ada", "Bob"]
    assert re.sub(r"<[^>]+>", "", marked.split(">", 1)[1]) == text
    assert "<table>" in shown


def test_an_answer_is_marked_in_the_field_that_holds_it() -> None:
    answer = {"answer": "in Rome", "score": 0.9, "start": 10, "end": 17}
    shown = html(
        Display.HIGHLIGHT, answer, question="Where does she live?", context="She lives in Rome."
    )
    assert ">in Rome<" in shown
    assert "She lives " in shown


def test_overlapping_spans_do_not_double_the_text() -> None:
    rows = [
        {"entity": "A", "word": "abc", "start": 0, "end": 3},
        {"entity": "B", "word": "bcd", "start": 1, "end": 4},
    ]
    shown = html(Display.HIGHLIGHT, rows, text="abcde")
    assert shown.count("<mark") == 1


@pytest.mark.parametrize(
    "answer",
    [
        "Bonjour",
        {"translation_text": "Bonjour"},
        [{"generated_text": "Bonjour"}],
        [[{"generated_text": "Bonjour"}]],
        {"answer": "Bonjour", "score": 0.5},
    ],
)
def test_texts_are_shown_whatever_their_field_is_called(answer: Any) -> None:
    assert html(Display.TEXT, answer) == '<div class="np-text">Bonjour</div>'


def test_tables_have_a_column_for_each_field() -> None:
    shown = html(Display.TABLE, [{"a": 1, "b": 0.5}, {"a": 2, "c": [1]}])
    assert re.findall(r"<th>(\w)</th>", shown) == ["a", "b", "c"]
    assert "0.5000" in shown


@pytest.mark.parametrize("answer", [[], None, "", {}])
@pytest.mark.parametrize("display", list(Display))
def test_an_empty_answer_says_that_nothing_was_found(display: Display, answer: Any) -> None:
    assert "Nothing found" in html(display, answer, text="x")


@pytest.mark.parametrize("display", list(Display))
@pytest.mark.parametrize("answer", [3, [1, 2], {"x": {"y": 1}}, [{"odd": True}], [["a"]]])
def test_a_shape_that_nobody_thought_of_is_still_shown(display: Display, answer: Any) -> None:
    assert html(display, answer, text="x")


@pytest.mark.parametrize(
    ("display", "answer"),
    [
        (Display.LABEL, [{"label": EVIL, "score": 1.0}]),
        (
            Display.HIGHLIGHT,
            [{"entity_group": EVIL, "word": EVIL, "start": 0, "end": len(EVIL)}],
        ),
        (Display.TEXT, EVIL),
        (Display.TABLE, [{EVIL: EVIL}]),
    ],
)
def test_what_comes_from_users_and_models_is_escaped(display: Display, answer: Any) -> None:
    shown = html(display, answer, text=EVIL)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_a_very_long_text_is_shortened_and_says_so() -> None:
    shown = html(Display.TEXT, "a" * 1_000_000)
    assert len(shown) < MAX_CHARACTERS + 500
    assert "Shown up to character 20,000 of 1,000,000." in shown


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([{"label": "a", "score": 0.2}, {"label": "b", "score": 0.8}], "b (80.0%)"),
        ([{"entity_group": "PER", "word": "Ada"}], "Ada (PER)"),
        ([{"generated_text": "x"}, {"generated_text": "y"}], "x | y"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_cell_of_the_batch_table_is_short(answer: Any, words: str) -> None:
    assert summary(answer) == words

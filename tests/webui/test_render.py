"""Answers as HTML: every display, every shape, and nothing that is not escaped."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pytest

from nlplug.task import Display
from nlplug_webui.render import MAX_CHARACTERS, Shown, growing_html, show, summary

EVIL = '<script>alert("x")</script>'


def shown(display: Display, answer: Any, language: str = "en", **item: Any) -> Shown:
    return show(display, answer, item, language)


def html(display: Display, answer: Any, **item: Any) -> str:
    """All of an answer: its HTML, with the marked text between head and tail."""
    found = shown(display, answer, **item)
    marks = "".join(text for text, _ in found.marked.segments) if found.marked else ""
    return found.head + escape(marks) + found.tail


def test_labels_are_bars_with_the_strongest_first() -> None:
    found = html(
        Display.LABEL, [{"label": "no", "score": 0.25}, {"label": "yes", "score": 0.75}], text="x"
    )
    assert re.findall(r"np-bar-name\">(\w+)<", found) == ["yes", "no"]
    assert re.findall(r"width:([\d.]+)%", found) == ["75.00", "25.00"]
    assert "75.0%" in found


def test_scores_that_are_no_probabilities_are_scaled_to_the_widest() -> None:
    found = html(Display.LABEL, [{"label": "a", "score": 8.0}, {"label": "b", "score": -4.0}])
    assert re.findall(r"width:([\d.]+)%", found) == ["100.00", "50.00"]
    assert "8.000" in found
    assert "-4.000" in found


def test_a_label_that_says_the_model_is_unsure_is_told_as_that() -> None:
    answer = [{"label": "none", "score": 0.7}, {"label": "yes", "score": 0.3}]
    assert "abstains" not in show(Display.LABEL, answer, {}, "en").html
    answer[0]["abstained"] = True
    shown = show(Display.LABEL, answer, {}, "en").html
    assert "The model abstains" in shown
    # The abstain label itself may have a high score.
    assert "No other label has a high enough score" in shown
    assert "弃权" in show(Display.LABEL, answer, {}, "zh").html


@pytest.mark.parametrize(("language", "words"), [("en", "No label fits"), ("zh", "没有合适的标签")])
def test_no_label_above_the_threshold_is_said_in_words(language: str, words: str) -> None:
    assert words in shown(Display.LABEL, [], language, text="x").html


def test_spans_are_counted_marked_and_listed() -> None:
    found = shown(
        Display.HIGHLIGHT,
        [
            {"entity_group": "PER", "score": 0.9, "word": "Ada", "start": 0, "end": 3},
            {"entity_group": "PER", "score": 0.8, "word": "Bob", "start": 8, "end": 11},
        ],
        text="Ada met Bob.",
    )
    assert found.marked is not None
    assert found.marked.segments == [
        ("Ada", "PER"),
        (" met ", None),
        ("Bob", "PER"),
        (".", None),
    ]
    assert "2 found" in found.head
    assert "Person (PER) 2" in found.head
    assert re.findall(r"<th[^>]*>(\w+)<", found.tail) == ["type", "text", "start", "end", "score"]
    assert found.tail.count("<tr>") == 3


def test_the_best_answer_is_told_and_marked_in_the_field_that_holds_it() -> None:
    answers = [
        {"answer": "Rome", "score": 0.9, "start": 13, "end": 17},
        {"answer": "in Rome", "score": 0.05, "start": 10, "end": 17},
        {"answer": "She", "score": 0.01, "start": 0, "end": 3},
    ]
    found = shown(
        Display.HIGHLIGHT, answers, question="Where is she?", context="She lives in Rome."
    )
    assert "<strong>Rome</strong>" in found.head
    assert "90.0%" in found.head
    assert found.marked is not None
    assert [segment for segment in found.marked.segments if segment[1]] == [
        ("She", "3"),
        ("Rome", "1"),
    ]
    assert re.findall(r"<th[^>]*>([#\w]+)<", found.tail) == ["#", "answer", "start", "end", "score"]


def test_of_a_long_text_each_passage_with_an_answer_is_shown_and_each_row_leads_to_its_mark() -> (
    None
):
    filler = "Nothing here. " * 300
    passages = [filler, "He was born in Rome.", filler, f"{filler}She met him in Pisa.", "The end."]
    context = "\n\n".join(passages)
    rome, pisa = context.index("Rome"), context.index("Pisa")
    answers = [
        {"answer": "Pisa", "score": 0.6, "start": pisa, "end": pisa + 4},
        {"answer": "in Pisa", "score": 0.2, "start": pisa - 3, "end": pisa + 4},
        {"answer": "Rome", "score": 0.1, "start": rome, "end": rome + 4},
        {"answer": "", "score": 0.05, "start": 0, "end": 0},
    ]
    found = shown(Display.HIGHLIGHT, answers, question="Where?", context=context)
    assert found.marked is not None
    whole = "".join(part for part, _ in found.marked.segments)
    assert "… He was born in Rome. …\n\n…" in whole
    assert "The end." not in whole
    assert [name for _, name in found.marked.segments if name] == ["3", "1"]
    assert found.marked.marks == [1, 1, 0, None]
    assert "2 parts of the text are shown" in found.tail
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", found.tail)
    assert cells[0::6] == ["1", "2", "3", "4"]
    assert cells[2::6] == ["4", "4", "2", ""]


@pytest.mark.parametrize(
    ("language", "words"), [("en", "No answer in this text"), ("zh", "文中没有答案")]
)
def test_no_answer_is_said_in_words(language: str, words: str) -> None:
    answer = [{"answer": "", "score": 0.75, "start": 0, "end": 0}]
    found = shown(Display.HIGHLIGHT, answer, language, question="Who?", context="A page.")
    assert words in found.head
    assert "75.0%" in found.head
    assert found.marked is None


def test_overlapping_spans_do_not_double_the_text() -> None:
    rows = [
        {"entity": "B", "word": "bcd", "start": 1, "end": 4},
        {"entity": "A", "word": "abc", "start": 0, "end": 3},
    ]
    found = shown(Display.HIGHLIGHT, rows, text="abcde")
    assert found.marked is not None
    assert found.marked.segments == [("abc", "A"), ("de", None)]
    assert found.tail.count("<tr>") == 3


def test_beginning_and_inside_of_an_entity_share_its_colour() -> None:
    rows = [
        {"entity": "B-PER", "word": "Ada", "start": 0, "end": 3},
        {"entity": "I-PER", "word": "Bee", "start": 4, "end": 7},
        {"entity": "B-LOC", "word": "Rome", "start": 8, "end": 12},
    ]
    found = show(Display.HIGHLIGHT, rows, {"text": "Ada Bee Rome"}, "en", labels=["O", "B-LOC"])
    assert found.marked is not None
    colors = found.marked.colors
    assert colors["B-PER"] == colors["I-PER"] != colors["B-LOC"]


def test_a_long_document_is_shown_in_part_with_bounded_marks_and_rows() -> None:
    text = "Ada met Bob. " * 8_000
    rows = [
        {"entity_group": "PER", "word": "Ada", "score": 0.9, "start": at, "end": at + 3}
        for at in range(0, len(text), 13)
    ]
    found = shown(Display.HIGHLIGHT, rows, text=text)
    assert found.marked is not None
    assert sum(len(part) for part, _ in found.marked.segments) <= 20_002
    assert sum(name is not None for _, name in found.marked.segments) <= 1_000
    assert "8,000 found" in found.head
    assert "of 104,000 are shown" in found.tail
    assert "The first 500 of 8,000 rows are shown." in found.tail


def test_of_a_long_context_the_part_around_the_answer_is_shown() -> None:
    context = "Nothing here. " * 4_000 + "The tower is in Rome. " + "Nothing here. " * 4_000
    start = context.index("Rome")
    answer = [{"answer": "Rome", "score": 0.5, "start": start, "end": start + 4}]
    found = shown(Display.HIGHLIGHT, answer, question="Where?", context=context)
    assert found.marked is not None
    shown_text = "".join(part for part, _ in found.marked.segments)
    assert "The tower is in Rome." in shown_text
    assert len(shown_text) < 3_100
    assert shown_text.startswith("… ")
    assert shown_text.endswith(" …")
    assert ("Rome", "1") in found.marked.segments


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
    assert '<div class="np-text">Bonjour</div>' in html(Display.TEXT, answer)


def test_several_texts_are_numbered_and_each_can_be_copied() -> None:
    found = html(Display.TEXT, [{"generated_text": "one"}, {"generated_text": "two"}])
    assert re.findall(r"<span>(\d)</span>", found) == ["1", "2"]
    assert found.count("np-copy") == 2
    assert "<span>1</span>" not in html(Display.TEXT, [{"generated_text": "one"}])


def test_the_prompt_stands_back_where_a_text_begins_with_it() -> None:
    found = show(Display.TEXT, "No, <b> said", {"text": "No"}, "en", before="No").html
    assert '<span class="np-given">No</span>, &lt;b&gt; said' in found
    assert "np-given" not in show(Display.TEXT, "Yes", {"text": "No"}, "en", before="No").html


def test_a_text_that_grows_shows_its_end_and_that_it_is_not_whole() -> None:
    found = growing_html("a" * MAX_CHARACTERS + "<end", "zh", before="从前")
    assert "正在生成" in found
    assert 'aria-busy="true"' in found
    assert "&lt;end<span" in found
    assert len(found) < MAX_CHARACTERS + 500


def test_tables_have_a_column_for_each_field() -> None:
    found = html(Display.TABLE, [{"a": 1, "b": 0.5}, {"a": 2, "c": [1]}])
    assert re.findall(r"<th scope=\"col\">(\w)</th>", found) == ["a", "b", "c"]
    assert "0.5000" in found


@pytest.mark.parametrize("answer", [[], None, "", {}])
@pytest.mark.parametrize("display", [Display.HIGHLIGHT, Display.TABLE])
def test_an_empty_answer_says_that_nothing_was_found(display: Display, answer: Any) -> None:
    assert "Nothing found" in html(display, answer, text="x")
    assert "The result is empty" in html(Display.TEXT, answer, text="x")


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
    found = html(display, answer, text=EVIL)
    assert "<script" not in found
    assert "&lt;script&gt;" in found


def test_a_very_long_text_is_shortened_and_says_so() -> None:
    found = html(Display.TEXT, "a" * 1_000_000)
    assert len(found) < MAX_CHARACTERS + 500
    assert "The first 20,000 of 1,000,000 characters are shown." in found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([{"label": "a", "score": 0.2}, {"label": "b", "score": 0.8}], "b (80.0%)"),
        ([{"entity_group": "PER", "word": "Ada"}], "Ada (PER)"),
        ([{"generated_text": "x"}, {"generated_text": "y"}], "x | y"),
        ([{"answer": "in Rome", "score": 0.5}], "in Rome"),
        ([{"answer": "", "score": 0.5}], "no answer"),
        ([], "Nothing found"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_cell_of_the_batch_table_is_short(answer: Any, words: str) -> None:
    assert summary(answer) == words

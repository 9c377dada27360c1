"""Rows of token labels, in whichever form, are texts with spans of characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlplug.data import DataRow
from nlplug.data.annotated import AnnotatedText, annotated, join
from nlplug.errors import DataError

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXT = "Ann Lee left Rome."
SPANS = ((0, 7, "PER"), (13, 17, "LOC"))


def read(values: dict[str, Any], **options: Any) -> AnnotatedText:
    return annotated(DataRow(values, Path("train.jsonl"), 7), **options)


def error(values: dict[str, Any], **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(values, **options)
    assert caught.value.message.startswith("train.jsonl:7: ")
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("column", ["tags", "labels", "ner_tags"])
def test_tokens_are_joined_and_their_tags_become_spans(column: str) -> None:
    tokens = ["Ann", "Lee", "left", "Rome", "."]
    names = {"tokens": tokens, column: ["B-PER", "I-PER", "O", "B-LOC", "O"]}
    ids = {"tokens": tokens, column: [1, 2, 0, 3, 0]}
    tags = ("B-PER", "I-PER", "O", "B-LOC", "O")
    wanted = AnnotatedText("Ann Lee left Rome .", SPANS, words=tuple(tokens), tags=tags)
    assert read(names) == read(ids, names=NAMES) == wanted


@pytest.mark.parametrize("column", ["entities", "spans"])
def test_spans_may_be_objects_or_lists_and_stand_in_any_order(column: str) -> None:
    objects = [{"start": s, "end": e, "label": label} for s, e, label in reversed(SPANS)]
    groups = [{"start": s, "end": e, "entity_group": label, "score": 1} for s, e, label in SPANS]
    lists = [list(span) for span in SPANS]
    for value in (objects, groups, lists):
        assert read({"text": TEXT, column: value}) == AnnotatedText(TEXT, SPANS)


def test_neighbours_of_one_bare_type_are_one_entity() -> None:
    tokens = ["Ann", "Lee", "left", "Rome", "."]
    row = {"tokens": tokens, "tags": ["PER", "PER", "O", "LOC", "O"]}
    found = read(row)
    assert (found.text, found.spans) == ("Ann Lee left Rome .", SPANS)
    assert found.words == tuple(tokens)


def test_lists_in_a_table_are_json() -> None:
    row = {"tokens": '["in", "Rome"]', "tags": '["O", "B-LOC"]'}
    words, tags = ("in", "Rome"), ("O", "B-LOC")
    assert read(row) == AnnotatedText("in Rome", ((3, 7, "LOC"),), words=words, tags=tags)
    cell = '[{"start": 3, "end": 7, "label": "LOC"}]'
    assert read({"text": "in Rome", "entities": cell}).spans == ((3, 7, "LOC"),)


def test_spaces_at_the_edges_of_a_span_do_not_count() -> None:
    assert read({"text": "in  Rome ", "spans": [[2, 9, "LOC"]]}).spans == ((4, 8, "LOC"),)


def test_a_set_may_say_which_types_it_looked_for() -> None:
    row = {"text": "in Rome", "spans": [], "label_set": ["PER", "LOC"]}
    assert read(row).label_set == frozenset({"PER", "LOC"})
    assert read({**row, "label_set": "PER,LOC"}).label_set == frozenset({"PER", "LOC"})
    assert read({**row, "label_set": None}).label_set is None


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["a", "b"], "a b"),
        (list("我爱北京。"), "我爱北京。"),
        (list("2008年iPhone上市"), "2008年iPhone上市"),
        (["iPhone", "手机", "很", "好"], "iPhone手机很好"),
        (["東京", "タワー", "へ"], "東京タワーへ"),
        (["서울", "에서"], "서울 에서"),
        (["A", "B", "AB"], "A B AB"),
    ],
)
def test_chinese_and_japanese_are_joined_without_spaces(tokens: list[str], text: str) -> None:
    found, starts = join(tokens)
    assert found == text
    for token, start in zip(tokens, starts, strict=True):
        assert text[start : start + len(token)] == token


@given(st.lists(st.text(min_size=1).filter(lambda token: token == token.strip() and token)))
def test_every_token_stands_where_the_join_says(tokens: list[str]) -> None:
    text, starts = join(tokens)
    for token, start in zip(tokens, starts, strict=True):
        assert text[start : start + len(token)] == token


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens and 1 tags"),
        (
            {"tokens": ["a", "b"], "tags": ["PER", "B-PER"]},
            "the tag 'PER' does not follow the scheme of the others",
        ),
        ({"tokens": ["a"], "tags": [3]}, "nothing says what the ids mean"),
        ({"tokens": ["a"], "tags": [None]}, "None, which is not a tag"),
        ({"tokens": ["a", " "], "tags": ["O", "O"]}, "' ' is not a token"),
        ({"tokens": [], "tags": []}, "or is empty"),
        ({"tokens": ["a"]}, "'tags' is missing"),
        ({"sentence": "a"}, "the column 'text' is missing"),
        ({"text": "a"}, "'entities' is missing"),
        ({"text": " ", "entities": []}, "not a text"),
        ({"text": "Rome", "entities": [[0, 5, "LOC"]]}, "0 to 5 (LOC) contains no text"),
        ({"text": "a b", "entities": [[1, 2, "LOC"]]}, "1 to 2 (LOC) contains no text"),
        ({"text": "Rome", "entities": [["0", 4, "LOC"]]}, "which is not a span"),
        ({"text": "Rome", "entities": [{"start": 0, "end": 4}]}, "which is not a span"),
        ({"text": "Rome", "entities": [[0, 4, "O"]]}, "the label 'O'"),
        (
            {"text": "New York", "entities": [[0, 8, "LOC"], [4, 8, "ORG"]]},
            "'New York' and 'York' overlap",
        ),
        ({"text": "Rome", "entities": [], "label_set": 3}, "'label_set' holds 3"),
        ({"tokens": ["a", "b"], "tags": ["B", "I"]}, "the tag 'B' has no type"),
        ({"tokens": ["a", "b"], "tags": ["O", "I"]}, "the tag 'I' has no type"),
        ({"text": "Rome", "entities": [[0, 4, " "]]}, "which is not a span"),
        (
            {"text": TEXT, "entities": [{"start": 0, "end": 6, "label": "PER", "text": "Ann Lee"}]},
            "the span 0 to 6 (PER) is 'Ann Le', and not 'Ann Lee'",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_named(values: dict[str, Any], message: str) -> None:
    assert message in error(values).message


def test_an_id_beyond_the_names_is_named() -> None:
    assert (
        "the id 9, but there are 5 names"
        in error({"tokens": ["a"], "tags": [9]}, names=NAMES).message
    )


@pytest.mark.parametrize("said", ["Ann Lee", " Ann  Lee", "Ann\\nLee"])
def test_the_text_of_a_span_may_differ_in_white_space(said: str) -> None:
    span = {"start": 0, "end": 7, "label": "PER", "text": said}
    assert read({"text": TEXT, "entities": [span]}).spans == ((0, 7, "PER"),)

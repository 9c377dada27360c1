"""Questions on contexts: SQuAD files of both versions, and the answers of a row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from nlplug.data import DataRow, read_rows
from nlplug.data.squad import answer_spans
from nlplug.errors import DataError

CONTEXT = "Ada met Bo in Rome. Bo sang."


def squad(*questions: dict[str, Any], context: Any = CONTEXT) -> dict[str, Any]:
    paragraph = {"context": context, "qas": list(questions)}
    return {"version": "v2.0", "data": [{"title": "Rome", "paragraphs": [paragraph]}]}


def question(name: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": f"{name}?", "answers": given, **more}


def written(path: Path, body: Any) -> Path:
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def spans(**values: Any) -> list[str]:
    row = DataRow({"question": "?", "context": CONTEXT, **values}, Path("a.jsonl"), 3)
    return [f"{start}:{CONTEXT[start:end]}" for start, end in answer_spans(row)]


def test_a_file_of_version_1_gives_a_row_a_question(tmp_path: Path) -> None:
    body = squad(question("who", ("Ada", 0), ("Bo", 20)), question("where", ("Rome", 14)))
    rows = list(read_rows(written(tmp_path / "train.json", body)))
    assert [row.values for row in rows] == [
        {
            "title": "Rome",
            "context": CONTEXT,
            "id": "who",
            "question": "who?",
            "answers": {"text": ["Ada", "Bo"], "answer_start": [0, 20]},
        },
        {
            "title": "Rome",
            "context": CONTEXT,
            "id": "where",
            "question": "where?",
            "answers": {"text": ["Rome"], "answer_start": [14]},
        },
    ]
    assert [row.line for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("answer", "context", "start"),
    [
        ("art", "The party loved art.", 16),
        ("10", "In 2010 and 1910, 10 came.", 18),
        ("art", "The party started.", 5),  # no word of its own
        ("aa", "aaaa aa", 5),
        ("京", "北京", 1),
    ],
)
def test_without_a_place_an_answer_is_where_it_cuts_no_word(
    answer: str, context: str, start: int
) -> None:
    row = DataRow({"question": "?", "context": context, "answer": answer}, Path("a.jsonl"), 3)
    assert answer_spans(row) == ((start, start + len(answer)),)


@pytest.mark.parametrize("answers", [["Rome"], {"text": ["Rome"], "answer_start": [14]}])
def test_answers_may_be_texts_or_lists_of_columns(tmp_path: Path, answers: Any) -> None:
    body = squad({"id": "a", "question": "?", "answers": answers})
    (row,) = read_rows(written(tmp_path / "a.json", body))
    assert answer_spans(row) == ((14, 18),)


def test_an_impossible_question_of_version_2_has_no_answers(tmp_path: Path) -> None:
    plausible = [{"text": "Rome", "answer_start": 14}]
    body = squad(
        question("when", is_impossible=True, plausible_answers=plausible),
        question("who", ("Bo", 8), is_impossible=False),
    )
    path = tmp_path / "dev.json.gz"
    path.write_bytes(gzip.compress(json.dumps(body).encode()))
    assert [row.values["answers"]["text"] for row in read_rows(path)] == [[], ["Bo"]]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"data": [{"title": "x"}]}, r"data\[0\] has no list 'paragraphs'"),
        ({"data": ["x"]}, r"data\[0\] has no list 'paragraphs'"),
        (squad(context=None), r"data\[0\]\.paragraphs\[0\] has no text 'context'"),
        (squad({"id": "q7", "answers": []}), "question 'q7' has no text 'question'"),
        (
            squad({"question": "?", "answers": 3}),
            r"data\[0\]\.paragraphs\[0\]\.qas\[0\] has no list 'answers'",
        ),
        (
            squad({"id": "q7", "question": "?", "answers": [{"answer_start": 0}]}),
            "question 'q7' has an answer without 'text'",
        ),
    ],
)
def test_what_is_missing_is_named_by_file_and_place(tmp_path: Path, body: Any, place: str) -> None:
    with pytest.raises(DataError, match=rf"bad\.json: {place}"):
        list(read_rows(written(tmp_path / "bad.json", body)))


def test_an_object_that_is_no_squad_file_is_still_no_file_of_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not an array of objects"):
        list(read_rows(written(tmp_path / "bad.json", {"rows": []})))


def test_answers_come_as_lists_as_objects_or_as_columns_of_a_table() -> None:
    assert spans(answers={"text": ["Bo"], "answer_start": [20]}) == ["20:Bo"]
    assert spans(answers=[{"text": "Bo", "answer_start": 20}]) == ["20:Bo"]
    assert spans(answer="Bo", answer_start="20") == ["20:Bo"]


def test_without_a_start_the_first_place_counts() -> None:
    assert spans(answers={"text": ["Bo"]}) == ["8:Bo"]
    assert spans(answer="Bo", answer_start="") == ["8:Bo"]


def test_no_answer_is_an_empty_list_an_empty_cell_or_a_mark() -> None:
    assert spans(answers={"text": [], "answer_start": []}) == []
    assert spans(answer="") == []
    assert spans(answer="Bo", is_impossible=True) == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"answer": "Paris"}, "'Paris' is not in the context"),
        ({"answer": "Bo", "answer_start": 9}, "'Bo' is not at position 9 of the context"),
        ({"answer": "Bo", "answer_start": -8}, "'Bo' is not at position -8"),
        ({"answer": "Bo", "answer_start": 0.5}, "'Bo' is not at position 0.5"),
        ({"answer": "Bo", "answer_start": False}, "'Bo' is not at position False"),
        ({"answer": "Bo", "answer_start": "late"}, "'Bo' is not at position 'late'"),
        ({"answers": {"text": [""], "answer_start": [0]}}, "the answer '' is not a text"),
        ({"answers": "Bo"}, "the column 'answers' holds 'Bo'"),
        ({"answers": {"text": ["Bo"], "answer_start": []}}, "the column 'answers' holds"),
        ({}, "the column 'answers' is missing"),
        ({"answer": "Bo", "context": " "}, "the column 'context' is ' ', not a text"),
    ],
)
def test_an_answer_that_cannot_be_is_named_by_file_line_and_question(
    values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl:3 \(question 'q1'\): .*{problem}"):
        spans(id="q1", **values)


def test_questions_whose_answers_are_kept_back_are_rows_without_answers(tmp_path: Path) -> None:
    path = written(tmp_path / "test.json", squad({"id": "a", "question": "?"}))
    (row,) = read_rows(path)
    assert "answers" not in row.values
    with pytest.raises(DataError, match="'answers' is missing"):
        answer_spans(row)


def test_one_article_may_stand_without_a_list_around_it(tmp_path: Path) -> None:
    body = squad(question("who", ("Ada", 0)))
    path = written(tmp_path / "article.json", body["data"][0])
    assert [row.values["id"] for row in read_rows(path)] == ["who"]

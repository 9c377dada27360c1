"""SQuAD's scores. The vectors are worked out by hand from the rules of its official script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug.errors import DataError, OptionError
from nlplug.families.span_extraction.overlap import exact_match, f1, normalized
from nlplug.families.span_extraction.scoring import SpanExtractionEvaluation, best_threshold


def given(text: str, score: float = 0.5) -> dict[str, Any]:
    return {"answer": text, "score": score, "start": 0, "end": len(text)}


def rows_file(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Eiffel\tTower!", "eiffel tower"),  # case, article, punctuation, spaces
        ("a.m.", "am"),  # punctuation goes before articles: no article "a" is left
        ("U.S.", "us"),
        ("an-other", "another"),  # a hyphen joins
        ("theatre", "theatre"),  # an article is a whole word
        ("$5,000", "5000"),
        ("“quoted”", "“quoted”"),  # the script knows ASCII punctuation alone
        ("The", ""),
        ("北京，上海。", "北 京 上 海"),
        ("在 NLP 中", "在 nlp 中"),
        ("カタカナ", "カ タ カ ナ"),
    ],
)
def test_normalization(text: str, expected: str) -> None:
    assert normalized(text) == expected


@pytest.mark.parametrize(
    ("answer", "right", "exact", "overlap"),
    [
        ("the Broncos", ["Broncos"], 1.0, 1.0),
        ("Denver Broncos", ["Broncos"], 0.0, 2 / 3),  # precision 1/2, recall 1
        ("Denver Broncos", ["Broncos", "denver broncos."], 1.0, 1.0),  # the best of several
        ("to to be", ["to be to"], 0.0, 1.0),  # a bag of words: the order does not count
        ("to to", ["to be"], 0.0, 0.5),  # a word counts as often as both have it
        ("Rome", ["Paris"], 0.0, 0.0),
        ("", [], 1.0, 1.0),  # no answer, rightly
        ("Rome", [], 0.0, 0.0),  # an answer where there is none
        ("", ["Rome"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),  # both empty once normalized
        ("北京市", ["北京"], 0.0, 0.8),  # by characters: precision 2/3, recall 1
        ("《红楼梦》", ["红楼梦"], 1.0, 1.0),
    ],
)
def test_exact_match_and_f1(answer: str, right: list[str], exact: float, overlap: float) -> None:
    assert exact_match(answer, right) == exact
    assert f1(answer, right) == pytest.approx(overlap)


def test_rows_give_question_context_and_right_answers(tmp_path: Path) -> None:
    context = "Ada met Bo."
    file = rows_file(
        tmp_path / "dev.jsonl",
        {"question": "Who?", "context": context, "answers": {"text": ["Ada", "Bo"]}},
        {"question": "When?", "context": context, "answers": {"text": []}},
    )
    samples = list(SpanExtractionEvaluation([]).samples(file))
    assert samples[0].input == {"question": "Who?", "context": context}
    assert [sample.target for sample in samples] == [("Ada", "Bo"), ()]
    assert samples[1].source == f"{file}:2"


def test_columns_can_be_named(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "dev.jsonl", {"q": "Who?", "text": "Ada.", "answer": "Ada"})
    evaluation = SpanExtractionEvaluation([])
    [sample] = evaluation.samples(file, question="q", context="text")
    assert sample.input == {"question": "Who?", "context": "Ada."}
    with pytest.raises(OptionError, match="no column 'label'"):
        list(evaluation.samples(file, label="q"))


def test_a_wrong_row_names_its_line(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "dev.jsonl", {"question": "Who?", "context": "x", "answer": "y"})
    with pytest.raises(DataError, match=r"dev\.jsonl:1: the answer 'y' is not in the context"):
        list(SpanExtractionEvaluation([]).samples(file))


def test_a_set_without_impossible_questions_has_two_figures() -> None:
    evaluation = SpanExtractionEvaluation([])
    answers = [given("Ada"), [given("Bo B."), given("Bo")]]  # of several the first counts
    targets = [("Ada",), ("Bo",)]
    report = evaluation.report(answers, targets)
    assert report == {"rows": 2, "f1": pytest.approx(5 / 6), "exact_match": 0.5}
    assert evaluation.per_example(answers, targets).tolist() == pytest.approx([1.0, 2 / 3])


def test_impossible_questions_are_counted_apart() -> None:
    evaluation = SpanExtractionEvaluation([])
    answers = [given("Ada", 0.9), given("", 0.6), given("Rome", 0.3), given("", 0.8)]
    report = evaluation.report(answers, [("Ada",), ("Bo",), (), ()])
    assert report["f1"] == report["exact_match"] == 0.5
    assert report["has_answer"] == {"rows": 2, "f1": 0.5, "exact_match": 0.5}
    assert report["no_answer"] == {"rows": 2, "f1": 0.5, "exact_match": 0.5}
    assert (report["no_answer_precision"], report["no_answer_recall"]) == (0.5, 0.5)
    # With 0.3 < threshold <= 0.9 the answer "Rome" would have been none.
    assert report["best_f1"] == 0.75
    assert 0.3 < report["best_f1_threshold"] <= 0.9
    assert [table.title for table in evaluation.tables(report)] == ["Metrics", "No answer"]


def test_no_answer_that_was_never_given_has_no_precision() -> None:
    evaluation = SpanExtractionEvaluation([])
    report = evaluation.report([given("Ada"), []], [(), ("Bo",)])
    assert report["no_answer_recall"] == 0.0
    assert report["f1"] == 0.0
    report = evaluation.report([given("Ada")], [()])
    assert report["no_answer_precision"] is None
    assert ["precision", "never answered"] in evaluation.tables(report)[1].rows


def test_the_best_threshold_keeps_equal_scores_together() -> None:
    overlap = np.array([1.0, 0.0, 1.0])
    answerable = np.array([True, False, True])
    assert best_threshold(overlap, answerable, np.array([0.5, 0.5, 0.5])) == (2 / 3, 0.0)
    found, threshold = best_threshold(overlap, answerable, np.array([0.9, 0.2, 0.4]))
    assert found == 1.0
    assert 0.2 < threshold <= 0.4

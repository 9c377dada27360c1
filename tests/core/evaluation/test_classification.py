"""Rows with labels in, numbers out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlplug.errors import DataError, OptionError
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation


def evaluation(*labels: str) -> ClassificationEvaluation:
    return ClassificationEvaluation(labels or ("negative", "positive"))


def answer(**scores: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


def targets(path: Path, *labels: str, **columns: str) -> list[Any]:
    return [sample.target for sample in evaluation(*labels).samples(path, **columns)]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_are_names_or_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nx,positive\ny,0\nz, negative\n")
    assert targets(path) == [1, 0, 0]


def test_a_number_that_is_a_name_is_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nx,5\ny,1\n")
    assert targets(path, "1", "5") == [1, 0]


def test_a_sample_knows_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "x", "text_pair": "y", "label": 1}\n')
    (sample,) = evaluation().samples(path)
    assert sample.input == {"text": "x", "text_pair": "y"}
    assert sample.source == f"{path}:1"


def test_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "review,stars\nx,positive\n")
    assert targets(path, text="review", label="stars") == [1]


def test_a_column_that_there_is_no_use_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no column 'title'"):
        targets(write(tmp_path / "a.csv", "text,label\n"), title="x")


@pytest.mark.parametrize("value", ["neutral", "2", "-1", "1.5"])
def test_an_unknown_label_names_line_and_known_labels(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "a.csv", f"text,label\nx,0\ny,{value}\n")
    with pytest.raises(DataError, match=r"a\.csv:3: unknown label") as caught:
        targets(path)
    assert "'negative', 'positive'" in (caught.value.hint or "")


def test_a_row_without_a_label_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nx,\n")
    with pytest.raises(DataError, match=r"a\.csv:2: the column 'label' is empty"):
        targets(path)


def test_a_text_that_is_none_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": 7, "label": 1}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: the column 'text' is 7, not a text"):
        targets(path)


def test_the_best_label_is_the_answer() -> None:
    answers = [answer(positive=0.9, negative=0.1), answer(negative=0.7, positive=0.3)]
    assert evaluation().per_example(answers, [1, 1]).tolist() == [1.0, 0.0]


def test_a_model_of_one_label_for_each_text_is_noticed_if_rows_have_several() -> None:
    alone = [answer(positive=0.9, negative=0.1), answer(negative=0.7, positive=0.3)]
    with pytest.warns(UserWarning, match="labels of the model exclude each other"):
        report = evaluation().report(alone, [(0, 1), (1,)])
    rows = [row for table in evaluation().tables(report) for row in table.rows]
    assert ["labels of the model exclude each other", "yes"] in rows
    # No row has several labels, or the scores of the labels are independent.
    for answers, right in ((alone, [(0,), (1,)]), ([answer(positive=0.9, negative=0.8)], [(0, 1)])):
        assert "one_label_each" not in evaluation().report(answers, right)


def test_the_report_holds_all_numbers_as_json() -> None:
    answers = [
        answer(positive=0.9, negative=0.1),
        answer(negative=0.7, positive=0.3),
        answer(negative=0.6, positive=0.4),
        answer(negative=0.8, positive=0.2),
    ]
    report = json.loads(json.dumps(evaluation().report(answers, [1, 1, 0, 0])))
    assert (report["rows"], report["accuracy"]) == (4, 0.75)
    assert report["confusion"] == [[2, 0], [1, 1]]
    assert report["labels"]["positive"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert report["ece"] == pytest.approx((0.1 + 0.7 + 0.4 + 0.2) / 4)


def test_several_labels_a_text_count_when_all_are_right(tmp_path: Path) -> None:
    rows = [{"text": "x", "labels": ["a", "c"]}, {"text": "y", "labels": []}]
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    truth = targets(path, "a", "b", "c")
    assert truth == [(0, 2), ()]
    answers = [answer(a=0.9, b=0.2, c=0.8), answer(a=0.6, b=0.2, c=0.1)]
    report = evaluation("a", "b", "c").report(answers, truth)
    assert report["accuracy"] == 0.5
    assert report["label_accuracy"] == pytest.approx(5 / 6)
    assert "confusion" not in report
    assert report["labels"]["a"] == pytest.approx(
        {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1}
    )

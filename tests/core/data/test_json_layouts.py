"""JSON in the layouts that people and annotation tools write; what is ambiguous is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlplug.data import DataFile, DataRow, read_rows
from nlplug.data.annotated import annotated
from nlplug.data.pairs import pairs_of
from nlplug.data.squad import answer_spans
from nlplug.errors import DataError

FLAT = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
NER = {"text": "Anna in Rome", "entities": [[0, 4, "PER"]]}
SPANS = ((0, 4, "PER"),)


def values(path: Path, content: Any) -> list[dict[str, Any]]:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return [row.values for row in read_rows(path)]


def error(path: Path, content: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        values(path, content)
    assert caught.value.hint
    return caught.value


LINES = "".join(json.dumps(row) + "\n" for row in FLAT)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", LINES),
        ("a.json", LINES.rstrip()),
        ("a.jsonl", json.dumps(FLAT)),
        ("a.jsonl", json.dumps(FLAT, indent=2)),
        ("a.json", json.dumps({"data": FLAT})),
        ("a.json", json.dumps({"version": "1", "data": FLAT})),
        ("a.json", json.dumps({"rows": FLAT})),
    ],
)
def test_flat_rows_are_found(tmp_path: Path, name: str, content: str) -> None:
    assert values(tmp_path / name, content) == FLAT


def test_rows_of_the_data_set_viewer_are_read(tmp_path: Path) -> None:
    rows = [{"row_idx": place, "row": row, "truncated_cells": []} for place, row in enumerate(FLAT)]
    features = [{"feature_idx": 0, "name": "text", "type": {"dtype": "string"}}]
    assert values(tmp_path / "a.json", {"features": features, "rows": rows}) == FLAT


def test_an_empty_object_is_named(tmp_path: Path) -> None:
    assert "holds an empty object, not an array" in error(tmp_path / "a.json", {}).message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train": FLAT, "test": FLAT}, "several arrays: 'train', 'test'"),
        ({"text": ["a", "b"], "label": [1, 0]}, "the columns 'text', 'label'"),
        ({"text": {"0": "a"}, "label": {"0": 1}}, "the columns 'text', 'label'"),
        ({"text": "a"}, "an object with 'text'"),
        ("[" * 100_000, "nested too deeply"),
        ("3", "the file is a number, 3; it should be an array"),
        ("null", "the file is null; it should be"),
        ('"a text"', 'the file is a string, "a text"; it should be'),
        ("[NaN]", "the row is a number, NaN; it should be an object"),
        ('[["a"]]', 'the row is an array, ["a"]; it should be an object'),
        ('[{"text": "a", "label": 1, "label": 2}]', "json: not JSON (the key 'label' is repeated"),
        ('{"text": "a", "text": "b"}\n{"text": "c"}', "json:1: not JSON (the key 'text' is repea"),
        ("[true]", "the row is a boolean, true; it should be an object"),
    ],
)
def test_what_is_ambiguous_is_refused_and_named(tmp_path: Path, content: Any, words: str) -> None:
    assert words in error(tmp_path / "a.json", content).message


def test_json_is_never_read_as_latin_1(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('[{"text": "schön"}]'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_rows(tmp_path / "a.json"))


@pytest.mark.parametrize(
    "content",
    [
        [["Anna in Rome", {"entities": [[0, 4, "PER"]]}]],
        {
            "classes": ["PER"],
            "annotations": [["Anna in Rome", {"entities": [[0, 4, "PER"]]}], None],
        },
        [
            {
                "data": {"text": "Anna in Rome"},
                "annotations": [
                    {
                        "result": [
                            {
                                "type": "labels",
                                "value": {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]},
                            }
                        ]
                    }
                ],
            }
        ],
        [{"text": "Anna in Rome", "label": [[0, 4, "PER"]]}],
        [{"text": "Anna in Rome", "label": [{"start": 0, "end": 4, "labels": ["PER"]}]}],
        [
            {
                "text": "Anna in Rome",
                "entities": [{"id": 3, "label": "PER", "start_offset": 0, "end_offset": 4}],
            }
        ],
    ],
    ids=["spacy", "ner-annotator", "label-studio", "doccano", "label-studio-min", "doccano-new"],
)
def test_spans_of_annotation_tools_are_read(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    [row] = read_rows(path)
    example = annotated(row)
    assert (example.text, example.spans) == ("Anna in Rome", SPANS)


def test_choices_and_categories_of_tools_are_labels(tmp_path: Path) -> None:
    choice = {"type": "choices", "value": {"choices": ["pos"]}}
    task = {"data": {"text": "good"}, "annotations": [{"result": [choice]}]}
    assert values(tmp_path / "a.json", [task]) == [{"text": "good", "label": "pos"}]
    cats = [["good", {"cats": {"pos": 1.0, "neg": 0.0}}]]
    assert values(tmp_path / "a.json", cats) == [{"text": "good", "label": "pos"}]


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ([{"result": []}, {"result": []}], "2 annotations"),
        ([{"result": [{"type": "brushlabels", "value": {}}]}], "'brushlabels'"),
    ],
)
def test_a_label_studio_task_that_is_unclear_is_refused(
    tmp_path: Path, annotations: Any, words: str
) -> None:
    task = {"data": {"text": "good"}, "annotations": annotations}
    assert words in error(tmp_path / "a.json", [task]).message


@pytest.mark.parametrize(
    "answers",
    [
        ["Bo"],
        [{"text": "Bo"}],
        {"text": ["Bo"], "answer_start": [6]},
        '{"text": ["Bo"], "answer_start": [6]}',
        "{'text': ['Bo'], 'answer_start': [6]}",
        '["Bo"]',
    ],
)
def test_answers_are_texts_objects_or_json_in_a_cell(answers: Any) -> None:
    row = DataRow({"question": "Who?", "context": "I saw Bo.", "answers": answers}, Path("a"), 1)
    assert answer_spans(row) == ((6, 8),)


def test_a_translation_may_be_json_in_a_cell() -> None:
    row = DataRow({"translation": '{"en": "cat", "fr": "chat"}'}, Path("a.csv"), 2)
    assert pairs_of(row, "en", ["fr"])[0].target == "chat"


def test_a_file_is_described_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES)
    file = DataFile(path)
    list(read_rows(file))
    assert str(file.report) == (
        f"{path}: 2 rows, JSON Lines; columns 'text', 'label'; 2 labels: 0, 1."
    )


def test_labels_are_described_as_they_are_trained(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    labels = ("true", "1", '"1"', "1.0", "0.5", "null", "{}", '" b "')
    path.write_text("".join(f'{{"text": "a", "label": {label}}}\n' for label in labels))
    file = DataFile(path)
    list(read_rows(file))
    assert "4 labels: 0.5, 1, b, true." in str(file.report)


def test_spans_are_counted_by_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(NER) + "\n")
    file = DataFile(path)
    list(read_rows(file))
    assert file.report.labels == {"PER": 1}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("fields", [{"label": "POS"}, {"spans": []}, {"accept": []}])
def test_rows_that_an_annotator_rejected_are_left_out(
    tmp_path: Path, name: str, fields: dict[str, Any]
) -> None:
    rows = [
        {"text": answer, **fields, "answer": answer} for answer in ("accept", "reject", "ignore")
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path = tmp_path / name
    path.write_text(lines if name.endswith("l") else json.dumps(rows))
    file = DataFile(path)
    assert [row.values["text"] for row in read_rows(file)] == ["accept"]
    assert "rejected or ignored in Prodigy (2)" in str(file.report)


def test_another_column_called_answer_says_nothing(tmp_path: Path) -> None:
    rows = [{"question": "The reply?", "context": "reject it", "answer": "reject"}]
    assert values(tmp_path / "a.json", rows) == rows


def test_the_chosen_options_of_prodigy_are_labels(tmp_path: Path) -> None:
    row = {"text": "a", "options": [{"id": "x"}, {"id": "y"}], "answer": "accept"}
    found = values(tmp_path / "a.json", [{**row, "accept": ["x"]}, {**row, "accept": ["x", "y"]}])
    assert [one["label"] for one in found] == ["x", ["x", "y"]]

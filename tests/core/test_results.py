"""Answers in files: flat rows of tables, nested records of JSON Lines."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from typing_extensions import TypedDict

from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.results import records, table_rows, to_record, to_rows

ADA = {"entity_group": "PER", "word": "Ada", "start": 0, "end": 3}
ROME = {"entity_group": "LOC", "word": "Rome", "start": 7, "end": 11}


class Entity(TypedDict):
    entity_group: str
    word: str
    start: int
    end: int


class Entities(SequenceClassificationTask):
    name = "entities"
    title = "Entities"
    description = "What is named in a text?"
    Output: ClassVar[Any] = list[Entity]


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ({"answer": "x", "start": 1}, [{"answer": "x", "start": 1}]),
        ([ADA, ROME], [ADA, ROME]),
        ([ADA], [ADA]),
        ([], [{}]),
        ("text", [{"result": "text"}]),
        ([1, 2], [{"result": [1, 2]}]),
    ],
)
def test_a_list_has_a_row_for_each_of_its_elements(answer: Any, rows: list[Any]) -> None:
    assert to_rows(answer) == rows


@pytest.mark.parametrize(
    ("answer", "record"),
    [
        ({"label": "a", "score": 0.5}, {"label": "a", "score": 0.5}),
        ([ADA], {"result": [ADA]}),
        ([], {"result": []}),
    ],
)
def test_a_record_keeps_a_list_as_it_is(answer: Any, record: dict[str, Any]) -> None:
    assert to_record(answer) == record


@pytest.mark.parametrize("own", ["label", "Label", "LABEL"])
def test_a_column_of_the_answer_hides_none_of_the_row(own: str) -> None:
    (record,) = records([({own: "mine"}, {"label": "theirs"})])
    assert record == {own: "mine", "predicted_label": "theirs"}


def test_an_input_without_an_answer_keeps_its_row_of_the_table() -> None:
    answered = [({"text": "none"}, []), ({"text": "Ada in Rome"}, [ADA, ROME])]
    rows = list(table_rows(Entities(), answered))
    assert [(row["text"], row["word"]) for row in rows] == [
        ("none", None),
        ("Ada in Rome", "Ada"),
        ("Ada in Rome", "Rome"),
    ]
    assert {tuple(row) for row in rows} == {("text", "entity_group", "word", "start", "end")}

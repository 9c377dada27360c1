"""Columns are found by their name, in another case where only one column has it."""

from __future__ import annotations

from pathlib import Path

import pytest

import nlplug
from nlplug.data import DataRow, read_rows
from nlplug.data.annotated import annotated
from nlplug.data.labels import label_scheme
from nlplug.data.pairs import Pair, pairs_of
from nlplug.data.rows import column_of
from nlplug.data.squad import answer_spans
from nlplug.errors import DataError, InputError
from nlplug.evaluation.base import evaluation_of
from nlplug.inputs import pick_columns, read_inputs


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["text", "Text"], "text"),
        (["Text", "label"], "Text"),
        ([" TEXT "], " TEXT "),
        (["Text", "TEXT"], None),
        (["texts"], None),
    ],
)
def test_the_exact_name_wins_and_several_others_are_none(
    columns: list[str], found: str | None
) -> None:
    assert column_of("text", columns) == found
    values = {name: name for name in columns}
    row = DataRow(values, Path("a.csv"), 2)
    assert row.values.get("text") == found
    assert ("text" in row.values) == (found is not None)
    assert row.values == values


def test_every_kind_of_row_is_read_with_capitals() -> None:
    def row(**values: object) -> DataRow:
        return DataRow(values, Path("a.jsonl"), 1)

    spans = [{"start": 0, "end": 4, "label": "LOC"}]
    assert annotated(row(Text="Rome", Entities=spans)).spans == ((0, 4, "LOC"),)
    assert annotated(row(Tokens=["Rome"], NER_Tags=["B-LOC"])).spans == ((0, 4, "LOC"),)
    assert pairs_of(row(Source="one", Target="eins"), "", []) == [Pair("one", "eins", "target")]
    assert answer_spans(row(Context="In Rome.", Answer="Rome")) == ((3, 7),)
    labelled = row(Text="a", Labels=["x", "y"])
    assert label_scheme([labelled]).read(labelled) == ["x", "y"]
    both = row(Text="a", Label="z", labels=["x", "y"])  # an exact name is before all others
    assert label_scheme([both]).read(both) == ["x", "y"]


def test_answers_scores_and_training_find_the_same_columns(tmp_path: Path) -> None:
    task = nlplug.PluginHost.discover().task("sentiment")
    file = tmp_path / "a.csv"
    file.write_text("Text,LABEL\nfine,positive\nbad,negative\n")
    assert [row.values for row in read_inputs(task, file)] == [{"text": "fine"}, {"text": "bad"}]
    samples = list(evaluation_of(task, ["negative", "positive"]).samples(file))
    assert [(one.input["text"], one.target) for one in samples] == [("fine", 1), ("bad", 0)]
    named = evaluation_of(task, ["negative", "positive"]).samples(file, text="text", label="label")
    assert [one.target for one in named] == [1, 0]
    assert pick_columns(task, ["TEXT"], text_column="text") == {"text": "TEXT"}

    file.write_text("Text,TEXT,label\nfine,good,positive\n")
    with pytest.raises(InputError, match="no 'text' among the columns Text, TEXT"):
        list(read_inputs(task, file))
    with pytest.raises(DataError, match="'text' is missing"):
        list(evaluation_of(task, ["negative", "positive"]).samples(file))


def test_an_error_names_the_column_as_the_file_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Text,Label\n,positive\n")
    row = next(read_rows(file))
    with pytest.raises(DataError, match="column 'Text' is ''"):
        row.text("text")

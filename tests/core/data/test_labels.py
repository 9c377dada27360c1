"""Labels: what is a name and what an id, and how several are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nlplug.data import DataRow
from nlplug.data.findings import spellings
from nlplug.data.labels import (
    LabelScheme,
    label_index,
    label_scheme,
    numeric_labels,
    row_labels,
    sorted_labels,
)
from nlplug.data.readers import read_rows
from nlplug.errors import DataError


def rows(*labels: Any, column: str = "label") -> list[DataRow]:
    return [
        DataRow({"text": "a", column: value}, Path("a.csv"), i) for i, value in enumerate(labels)
    ]


def learnt(found: Sequence[DataRow], **options: Any) -> tuple[LabelScheme, list[list[str]]]:
    scheme = label_scheme(found, **options)
    return scheme, [scheme.read(row) for row in found]


def test_numbers_with_leading_zeros_stay_names() -> None:
    _, names = learnt(rows("0101", "101", "007", "101"))
    assert names == [["0101"], ["101"], ["007"], ["101"]]
    assert sorted_labels([name for [name] in names]) == ["007", "0101", "101"]


def test_ids_are_sorted_as_numbers_and_names_as_texts() -> None:
    assert sorted_labels(["10", "9", "2"]) == ["2", "9", "10"]
    assert sorted_labels(["10", "9", "b"]) == ["10", "9", "b"]


def test_whole_numbers_of_any_type_are_the_same_label() -> None:
    assert learnt(rows(1, 1.0, "1"))[1] == [["1"], ["1"], ["1"]]


@pytest.mark.parametrize(
    ("name", "labels", "index"),
    [
        ("1", ["neg", "pos"], 1),
        ("pos", ["neg", "pos"], 1),
        ("01", ["neg", "pos"], None),
        ("+1", ["neg", "pos"], None),
        ("2", ["neg", "pos"], None),
        ("1", ["10", "20"], None),
        ("101", ["0101", "101"], 1),
        ("1", ["0101", "0102"], 1),
        ("²", ["neg", "pos"], None),
    ],
)
def test_a_number_is_an_id_only_where_it_is_written_so(
    name: str, labels: list[str], index: int | None
) -> None:
    assert label_index(name, labels) == index


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["x|y", "z"], "|"),
        (["x|y", "x|y", "x"], "|"),
        (["x|y", "x|y", "y|z"], "|"),
        (["I|O", "I|O", "CPU"], None),
        (["I|O", "I|O", "A|D", "A|D"], None),
        (["x;y", "x", "y"], ";"),
        (["x, y", "x", "y"], ","),
        (["Portland, OR", "Salem, OR"], None),
        (["Portland, OR", "Portland, ME"], None),
        (["a;b", "c"], None),
    ],
)
def test_a_separator_is_detected(values: list[str], separator: str | None) -> None:
    scheme, names = learnt(rows(*values))
    assert (scheme.separator, scheme.several) == (separator, separator is not None)
    if separator:
        assert names[0] == ["x", "y"]
        assert repr(separator) in str(scheme)
    else:
        assert names[0] == [values[0]]


def test_a_separator_can_be_switched_off() -> None:
    assert learnt(rows("x|y", "z"), several=False)[1] == [["x|y"], ["z"]]


def test_a_bar_that_always_joins_the_same_names_separates_them_on_demand() -> None:
    found = rows("x|y", "x|y", "z")
    assert learnt(found)[1] == [["x|y"], ["x|y"], ["z"]]
    assert learnt(found, several=True)[1] == [["x", "y"], ["x", "y"], ["z"]]
    [note] = spellings({"x|y": 2, "z": 1})
    assert (note.severity, note.rows) == ("note", 2)
    assert "kept whole: 'x|y'" in str(note)
    assert "--multi-label true" in str(note)


@pytest.mark.parametrize(
    "cell",
    [
        "['x', 'y']",
        '["x", "y"]',
        ["x", "y"],
        "['x' 'y']",
        "['x'\n 'y']",
        "('x', 'y')",
        "{'x', 'y'}",
    ],
)
def test_lists_in_cells_are_several_labels(cell: Any) -> None:
    scheme, names = learnt(rows(cell, "x"))
    assert scheme.several
    assert names == [["x", "y"], ["x"]]


def test_columns_of_zeros_and_ones_are_labels() -> None:
    values = [
        {"id": "7", "text": "a", "toxic": "1", "rude": "1"},
        {"id": "8", "text": "b", "toxic": "0", "rude": "0"},
    ]
    found = [DataRow(v, Path("a.csv"), i) for i, v in enumerate(values)]
    scheme, names = learnt(found, other=("text",))
    assert scheme.several
    assert names == [["toxic", "rude"], []]
    assert "'toxic', 'rude'" in str(scheme)
    assert row_labels(found[0], ["rude", "toxic"]) == (0, 1)


def test_columns_with_exactly_one_one_are_a_single_label() -> None:
    values = [{"text": "a", "pos": 1, "neg": 0}, {"text": "b", "pos": 0, "neg": 1}]
    scheme, names = learnt([DataRow(v, Path("a.csv"), i) for i, v in enumerate(values)])
    assert not scheme.several
    assert names == [["pos"], ["neg"]]


@pytest.mark.parametrize("values", [["4.5", "3", "2.0"], [0.25, 1.0], ["1e-1", "3"]])
def test_decimal_numbers_are_no_classes(values: list[Any]) -> None:
    assert numeric_labels(values)
    with pytest.raises(DataError, match="decimal numbers"):
        label_scheme(rows(*values))


@pytest.mark.parametrize("values", [["1.0", "2.0"], ["1", "2"], ["4.5", "x"], []])
def test_other_labels_are_no_decimal_numbers(values: list[Any]) -> None:
    assert not numeric_labels(values)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"label": "b"}, 1),
        ({"label": 1}, 1),
        ({"label": "a|c"}, (0, 2)),
        ({"label": "['c', 'a']"}, (0, 2)),
        ({"labels": ""}, ()),
        ({"labels": "a,b"}, (0, 1)),
        ({"a": 0, "b": 1, "c": 1}, (1, 2)),
    ],
)
def test_scoring_reads_labels_as_training_does(values: dict[str, Any], found: Any) -> None:
    assert row_labels(DataRow(values, Path("a.csv"), 3), ["a", "b", "c"]) == found


@pytest.mark.parametrize("value", ["d", "03", 7, "a|d"])
def test_an_unknown_label_is_named(value: Any) -> None:
    with pytest.raises(DataError, match=r"a\.csv:3: unknown label"):
        row_labels(DataRow({"label": value}, Path("a.csv"), 3), ["a", "b", "c"])


@pytest.mark.parametrize("value", [[0, 1, 0], [1.0, 0.0], [True, False], "[0, 0, 1]"])
def test_a_vector_of_zeros_and_ones_is_no_list_of_ids(value: Any) -> None:
    row = DataRow({"text": "a", "label": value}, Path("a.jsonl"), 3)
    with pytest.raises(DataError, match=r"a\.jsonl:3: .*nothing says what the labels are called"):
        label_scheme([row]).read(row)
    with pytest.raises(DataError, match="nothing says what the labels are called"):
        row_labels(row, ["neg", "pos", "mixed"])


def test_a_list_of_ids_may_hold_zero_and_one() -> None:
    row = DataRow({"text": "a", "label": [0, 1]}, Path("a.jsonl"), 3)
    assert row_labels(row, ["neg", "pos", "mixed"]) == (0, 1)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("[0 1 0]", [0, 1, 0]),
        ("[0.5  1.]", [0.5, 1.0]),
        ("['it is 5 9', 'b']", ["it is 5 9", "b"]),
        ("(none)", "(none)"),
        ("(note) so", "(note) so"),
        ("[a b]", "[a b]"),
        ("{}", {}),
    ],
)
def test_a_cell_holds_lists_of_python_and_numpy(cell: str, value: Any) -> None:
    assert rows(cell)[0].nested("label") == value


def test_truth_values_are_the_same_labels_in_all_files(tmp_path: Path) -> None:
    openpyxl, pyarrow = pytest.importorskip("openpyxl"), pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = [{"text": "a", "label": True}, {"text": "b", "label": False}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, table)))
    (tmp_path / "a.json").write_text(json.dumps(table))
    (tmp_path / "a.csv").write_text("text,label\na,true\nb,false\n")
    parquet.write_table(pyarrow.Table.from_pylist(table), tmp_path / "a.parquet")
    book = openpyxl.Workbook()
    for cells in (["text", "label"], ["a", True], ["b", False]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    for path in tmp_path.iterdir():
        assert learnt([*read_rows(path)])[1] == [["true"], ["false"]], path.name


@pytest.mark.parametrize("true", [True, "TRUE", "True", 1, "1.0"])
def test_columns_of_truth_values_are_labels_in_any_spelling(true: Any) -> None:
    off = {True: False, "TRUE": "FALSE", "True": "False"}.get(true, 0)
    found = [
        DataRow({"text": "a", "x": x, "y": y}, Path("a.csv"), 1)
        for x, y in ((true, off), (off, true), (true, true))
    ]
    assert learnt(found)[1] == [["x"], ["y"], ["x", "y"]]

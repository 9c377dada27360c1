"""Data sets of a workspace: rows in and out, changes, and the formats of annotation tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nlplug import PluginHost
from nlplug.cli.main import main
from nlplug.data.corrections import Corrections
from nlplug.data.formats import DataFile
from nlplug.errors import DataError, InputError, OptionError
from nlplug.workspace import DataSet, WorkspaceFolder
from nlplug.workspace.browse import most_uncertain, view
from nlplug.workspace.datasets import corrections_of, digest
from nlplug.workspace.exchange import export

HOST = PluginHost.discover()
LONDON = [{"start": 3, "end": 9, "label": "LOC"}]


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder.open(tmp_path / "work", create=True)


def made(workspace: WorkspaceFolder, task: str, rows: list[dict[str, Any]]) -> DataSet:
    data = DataSet.create(workspace, task.replace("_", "-"), HOST.task(task))
    data.add(rows)
    return data


def ways(task: str) -> Corrections:
    return corrections_of(HOST.task(task))


CASES = [
    ("classification", {"text": "a"}, "x", {"text": "a", "label": "x"}),
    ("ner", {"text": "in London"}, LONDON, {"text": "in London", "entities": LONDON}),
    (
        "qa",
        {"question": "Where?", "context": "in London"},
        {"start": 3, "end": 9},
        {
            "question": "Where?",
            "context": "in London",
            "answers": {"text": ["London"], "answer_start": [3]},
        },
    ),
    ("translation", {"text": "Hello"}, "Bonjour", {"source": "Hello", "target": "Bonjour"}),
]


@pytest.mark.parametrize(("task", "item", "value", "row"), CASES)
def test_a_correction_is_a_row_that_training_reads(
    workspace: WorkspaceFolder, task: str, item: Any, value: Any, row: Any
) -> None:
    way = ways(task)
    assert way.row(item, value) == row
    assert way.value(row) == value
    assert way.item(row) == item
    data = made(workspace, task, [row])
    assert way.rows(data.rows()) == [row]


@pytest.mark.parametrize(
    ("task", "item", "value"),
    [
        ("classification", {"text": "a"}, " "),
        ("classification", {"text": "a"}, None),
        ("classification", {"text": "a", "text_pair": "b"}, "x"),
        ("ner", {"text": "in London"}, [{"start": 3, "end": 90, "label": "LOC"}]),
        ("ner", {"text": "in London"}, [*LONDON, {"start": 8, "end": 9, "label": "X"}]),
        ("ner", {"text": "in London"}, [{"start": 3, "end": 9, "label": ""}]),
        ("qa", {"question": "Where?", "context": "in London"}, {"start": 2, "end": 3}),
        ("translation", {"text": "Hello"}, ""),
    ],
)
def test_a_value_that_does_not_fit_is_refused(task: str, item: Any, value: Any) -> None:
    with pytest.raises(InputError):
        ways(task).row(item, value)


@pytest.mark.parametrize("task", ["classification", "ner", "qa", "translation"])
def test_the_answer_of_the_task_proposes_a_value(task: str) -> None:
    from nlplug import pipeline

    example = HOST.task(task).examples[0]
    way = ways(task)
    with pipeline(task) as pipe:
        answer = next(pipe.answers([dict(example.input)], **example.options))
    row = way.row(example.input, way.suggestion(answer))
    assert way.value(row) == way.suggestion(answer)
    assert 0 <= way.uncertainty(answer) <= 1


def test_a_change_of_a_row_that_was_changed_meanwhile_is_refused(
    workspace: WorkspaceFolder,
) -> None:
    rows = [{"text": text, "label": "x"} for text in "abc"]
    data = made(workspace, "classification", rows)
    data.replace(1, digest(rows[1]), {"text": "b", "label": "y"})
    with pytest.raises(DataError, match="Row 2 .* has changed"):
        data.remove({1: digest(rows[1])})
    data.remove({0: digest(rows[0])})
    assert [row.values["text"] for row in data.rows()] == ["b", "c"]


def test_labelling_moves_a_row_from_the_texts_to_label(workspace: WorkspaceFolder) -> None:
    data = made(workspace, "classification", [])
    data.add([{"text": "a"}, {"text": "b"}], "unlabelled")
    data.label({"text": "b", "label": "x"}, 1, digest({"text": "b"}))
    assert [row.values for row in data.rows()] == [{"text": "b", "label": "x"}]
    assert [row.values for row in data.rows("unlabelled")] == [{"text": "a"}]


def test_a_view_searches_filters_and_counts(workspace: WorkspaceFolder) -> None:
    texts = [("Good day", "p"), ("good DAY", "n"), ("bad", "n")]
    data = made(workspace, "classification", [{"text": t, "label": x} for t, x in texts])
    way = ways("classification")
    found = view(data, way, search="good", label="n")
    assert [row["fields"]["text"] for row in found.rows] == ["good DAY"]
    assert (found.found, found.total, found.labels, found.repeated) == (1, 3, {"n": 2, "p": 1}, 2)
    assert view(data, way, repeated=True).found == 2
    assert [row["place"] for row in view(data, way, start=1, count=1).rows] == [1]


def test_the_most_uncertain_text_comes_first(workspace: WorkspaceFolder) -> None:
    from nlplug import pipeline

    data = made(workspace, "sentiment", [])
    texts = ["It was wonderful, I loved it!", "The box is on the table.", "Awful, I hated it."]
    data.add([{"text": text} for text in texts], "unlabelled")
    with pipeline("sentiment") as pipe:
        rows = most_uncertain(data, ways("sentiment"), pipe)
        scores = {text: pipe(text)[0]["score"] for text in texts}
    assert [row["fields"]["text"] for row in rows] == sorted(texts, key=scores.__getitem__)


@pytest.mark.parametrize("layout", ["doccano", "label-studio"])
@pytest.mark.parametrize(("task", "item", "value", "row"), CASES[:2])
def test_rows_of_annotation_tools_come_back_as_they_were(
    workspace: WorkspaceFolder, layout: str, task: str, item: Any, value: Any, row: Any
) -> None:
    data = made(workspace, task, [row])
    file = workspace.path / "out.jsonl"
    export(data, ways(task), file, layout)
    copy = DataSet.create(workspace, "copy", HOST.task(task))
    assert copy.take(DataFile(file), ways(task)) == {"rows": 1, "unlabelled": 0}
    assert [one.values for one in copy.rows()] == [row]


def test_rows_without_an_answer_are_texts_to_label(workspace: WorkspaceFolder) -> None:
    data = made(workspace, "classification", [])
    file = workspace.path / "in.csv"
    file.write_text("text,label\ngood,p\nunknown,\nbad,n\n", encoding="utf-8")
    assert data.take(DataFile(file), ways("classification")) == {"rows": 2, "unlabelled": 1}
    assert [row.values for row in data.rows("unlabelled")] == [{"text": "unknown"}]


def test_a_workspace_whose_creation_was_cut_off_can_be_created(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / ".workspace.json.0123abcd.new").touch()
    assert WorkspaceFolder.open(tmp_path, create=True).path == tmp_path
    (tmp_path / "workspace.json").unlink()
    (tmp_path / "models" / "mine").touch()
    with pytest.raises(OptionError, match="is not empty"):
        WorkspaceFolder.open(tmp_path, create=True)


def test_other_folders_and_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is not a workspace"):
        WorkspaceFolder.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="is not empty"):
        WorkspaceFolder.open(tmp_path, create=True)
    workspace = WorkspaceFolder.open(tmp_path / "new", create=True)
    for name in ("../x", "", "A", "a/b", "x" * 65):
        with pytest.raises(OptionError, match="cannot be a name"):
            DataSet.open(workspace, name)


def test_the_command_line_shares_the_folder(tmp_path: Path) -> None:
    folder, file = str(tmp_path / "w"), tmp_path / "a.csv"
    file.write_text("text,label\ngood,p\nbad,n\n", encoding="utf-8")

    def nlplug(*words: str) -> str:
        result = CliRunner().invoke(main, ["workspace", *words])
        assert result.exit_code == 0, result.output
        return result.output

    nlplug("create", folder)
    nlplug("import", folder, "tickets", str(file), "--task", "classification")
    assert nlplug("list", folder) == "data set tickets: classification, 2 rows\n"
    nlplug("export", folder, "tickets", str(tmp_path / "b.jsonl"))
    lines = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"text": "good", "label": "p"}


def test_labels_of_texts_are_chosen_as_they_are_and_entities_by_their_type() -> None:
    assert ways("sentiment").names(["I-95", "B-side", "O"]) == ["I-95", "B-side", "O"]
    assert ways("ner").names(["O", "B-PER", "I-PER", "B-LOC"]) == ["PER", "LOC"]
    assert ways("translation").names([]) == []

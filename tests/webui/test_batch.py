"""Files through a pipeline, in bounded memory, with the row named where one is bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlplug import Pipeline
from nlplug.errors import DataError
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.task import Display, TaskInput
from nlplug.testing import tiny_text_classifier
from nlplug_webui.batch import PREVIEW_ROWS, Progress, look, run_batch
from nlplug_webui.batch_tab import progress_html


class Tone(SequenceClassificationTask):
    name = "tone"
    title = "Tone"
    description = "Good or bad?"


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    bundle = tiny_text_classifier(tmp_path_factory.mktemp("tiny"))
    with Pipeline(Tone(), bundle, threads=1) as made:
        yield made


def last(pipe: Pipeline, source: Path, folder: Path, **columns: str) -> Progress:
    found = look(pipe.definition, source)
    *_, end = run_batch(pipe, source, {**found.picked, **columns}, {}, folder, total=found.rows)
    return end


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text\ngood\nbad\n"),
        ("a.tsv", "id\ttext\n1\tgood\n2\tbad\n"),
        ("a.jsonl", '{"text": "good"}\n{"text": "bad", "more": 1}\n'),
        ("a.json", '[{"text": "good"}, {"text": "bad"}]'),
        ("a.txt", "good\n\nbad\n"),
    ],
)
def test_every_format_is_answered(pipe: Pipeline, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    end = last(pipe, tmp_path / name, tmp_path)
    assert end.done == end.total == 2
    assert [answer.split()[0] for *_, answer in end.preview] == ["positive", "negative"]
    assert end.jsonl is not None
    lines = [json.loads(line) for line in end.jsonl.read_text(encoding="utf-8").splitlines()]
    assert [line["answer"][0]["label"] for line in lines] == ["positive", "negative"]


def test_columns_are_picked_by_name_and_never_guessed(tmp_path: Path) -> None:
    named = tmp_path / "named.csv"
    named.write_text("id,Text\n1,good\n", encoding="utf-8")
    other = tmp_path / "other.csv"
    other.write_text("id,foo\n1,good\n", encoding="utf-8")
    assert look(Tone(), named).picked == {"text": "Text", "text_pair": None}
    assert look(Tone(), other).picked == {"text": None, "text_pair": None}


def test_the_answer_never_hides_a_column_that_was_there(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "gold.csv"
    source.write_text("text,label\ngood,gold\n", encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert end.csv is not None
    assert end.csv.read_text(encoding="utf-8").startswith("text,label,predicted_label,score\n")


def test_a_long_file_streams(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "long.txt"
    source.write_text("good\n" * 20_000, encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert end.done == 20_000
    assert len(end.preview) == PREVIEW_ROWS


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "empty.txt"
    source.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="has no rows"):
        look(Tone(), source)


def test_a_row_that_is_no_input_is_named_and_leaves_no_file(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text('{"text": "good"}\n{"text": 3}\n', encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match=r"bad\.jsonl:2: .*text is 3"):
        last(pipe, source, out)
    assert list(out.iterdir()) == []


def test_foreign_rows_are_counted(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "rows.txt"
    source.write_text("good\n这部电影很好看\nbad\n", encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert (end.foreign.total, end.foreign.found.total()) == (3, 1)
    assert "1 of 3 texts look like unknown characters." in progress_html(end, "en")
    assert "3 条文本中有 1 条似乎是模型词表之外的文字。" in progress_html(end, "zh")


class Asked(Tone):
    name = "asked"
    display = Display.HIGHLIGHT

    class Input(TaskInput):
        question: str
        context: str


def test_a_single_column_beside_a_question_holds_the_documents(tmp_path: Path) -> None:
    source = tmp_path / "contexts.txt"
    source.write_text("good\nbad\n", encoding="utf-8")
    assert look(Asked(), source).picked == {"question": None, "context": "text"}

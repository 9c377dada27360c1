"""Files through a pipeline, in bounded memory, with the row named where one is bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from nlplug import Bundle, Pipeline
from nlplug.data import read_rows
from nlplug.errors import DataError, InputError
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.task import Display, TaskInput
from nlplug.testing import tiny_text_classifier
from nlplug_webui.batch import PREVIEW_ROWS, Progress, Tally, look, run_batch
from nlplug_webui.batch_report import look_html, progress_html, summary_html


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
    picked = {**found.picked, **columns}
    *_, end = run_batch(pipe, source, picked, {}, folder, total=found.rows, kept=found.columns)
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
    assert end.csv is not None
    table = list(read_rows(end.csv))
    assert ("more" in table[0].values) == ("more" in content)


def test_columns_are_picked_by_name_and_never_guessed(tmp_path: Path) -> None:
    named = tmp_path / "named.csv"
    named.write_text("id,Text\n1,good\n", encoding="utf-8")
    other = tmp_path / "other.csv"
    other.write_text("id,foo\n1,good\n", encoding="utf-8")
    assert look(Tone(), named).picked == {"text": "Text", "text_pair": None}
    assert look(Tone(), other).picked == {"text": None, "text_pair": None}


def test_the_first_rows_of_a_file_are_shown(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    lines = [{"text": "<b>good</b>"}, *({"text": "x" * 999, "n": n} for n in range(9))]
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found = look(Tone(), source)
    assert found.columns == ("text", "n")
    assert [(line, n) for line, (_, n) in found.first] == [(1, ""), *enumerate("0123", 2)]
    shown = look_html(found, "en")
    assert "&lt;b&gt;good" in shown and "x" * 300 not in shown
    assert "The first 5 of 10 rows are shown." in shown


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


def test_rows_that_cannot_be_answered_are_listed_and_the_others_answered(
    pipe: Pipeline, tmp_path: Path
) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text('{"text": "good"}\n{"text": 3}\n{"text": \n{"text": "bad"}\n')
    found = look(pipe.definition, source)
    assert found.rows == 3 and "1 skipped: not JSON" in found.understood
    end = last(pipe, source, tmp_path)
    assert (end.done, end.skipped) == (2, 2)
    assert [line for line, _ in end.reasons] == [2, 3]
    assert "text is 3" in end.reasons[0][1] and "not JSON" in end.reasons[1][1]
    assert end.rejected is not None
    rejected = [json.loads(line) for line in end.rejected.read_text().splitlines()]
    assert [row["line"] for row in rejected] == [2, 3]
    shown = progress_html(end, "en")
    assert "2 rows cannot be processed and are skipped" in shown and "text is 3" in shown


def test_a_file_without_a_usable_row_is_an_error_and_leaves_no_file(
    pipe: Pipeline, tmp_path: Path
) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text('{"text": 3}\n', encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match=r"bad\.jsonl:1: .*text is 3"):
        last(pipe, source, out)
    assert list(out.iterdir()) == []
    source.write_text('{"text": \n', encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.jsonl:1: not JSON"):
        look(pipe.definition, source)


def test_a_stopped_run_keeps_what_is_done(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "long.txt"
    source.write_text("good\n" * 50, encoding="utf-8")
    asked = iter(range(50))
    *_, end = run_batch(
        pipe,
        source,
        {"text": "text"},
        {},
        tmp_path,
        total=50,
        stop=lambda: next(asked) == 9,
    )
    assert end.stopped and end.done == 10 and end.csv is not None and end.jsonl is not None
    assert len(list(read_rows(end.csv))) == len(list(read_rows(end.jsonl))) == 10
    assert "Stopped after 10 of 50 rows" in progress_html(end, "en")


def test_a_run_that_fails_keeps_what_is_done(pipe: Pipeline, tmp_path: Path) -> None:
    class Fragile(Tone):
        def bind(self, bundle: Bundle) -> SequenceClassificationModel:
            class Model(SequenceClassificationModel):
                def decode(self, item: Any, *rest: Any) -> Any:
                    if item.text == "fail":
                        raise SystemExit(3)
                    return super().decode(item, *rest)

            return Model(bundle)

    source = tmp_path / "rows.txt"
    source.write_text("good\nbad\nfail\ngood\n", encoding="utf-8")
    with Pipeline(Fragile(), pipe.bundle, threads=1) as fragile:
        run = run_batch(fragile, source, {"text": "text"}, {}, tmp_path, total=4)
        end = next(now for now in run if now.csv is not None)
        assert end.stopped and len(list(read_rows(end.csv))) == 2
        with pytest.raises(RuntimeError, match="SystemExit was raised"):
            next(run)


def test_the_table_is_an_excel_workbook_too(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("id,text\n007,good\n008,=1+1\n", encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert end.excel is not None
    sheet = load_workbook(end.excel).active
    assert [cell.value for cell in sheet[1]] == ["id", "text", "label", "score"]
    assert [cell.value for cell in sheet[2]][:3] == ["007", "good", "positive"]
    assert isinstance(sheet["D2"].value, float)
    assert look(pipe.definition, end.excel).columns == ("id", "text", "label", "score")


def test_labels_are_counted_with_their_scores(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "rows.txt"
    source.write_text("good\nbad\ngood\n", encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert end.tally.labels == {"positive": 2, "negative": 1}
    assert 0.5 < end.tally.scores["positive"] / 2 <= 1.0
    shown = progress_html(end, "en")
    assert "Summary" in shown and "2 · average score" in shown


def test_marked_texts_are_counted_by_text_and_label() -> None:
    tally = Tally()
    tally.add([{"word": "Ulm", "entity_group": "LOC", "score": 1.0}] * 2)
    tally.add([{"word": "Anna", "entity_group": "PER", "score": 0.5}])
    assert tally.labels == {"LOC": 2, "PER": 1}
    assert tally.texts.most_common(1) == [(("Ulm", "LOC"), 2)]
    shown = summary_html(tally, "en")
    assert "Ulm · LOC 2" in shown
    assert tally.bins == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert "Distribution of the scores" in shown
    tally = Tally()
    tally.add([{"label": "raw", "score": 7.5}])
    assert "Distribution of the scores" not in summary_html(tally, "en")


def test_the_remaining_time_follows_from_the_rows_so_far() -> None:
    now = Progress(done=20, total=100, seconds=10.0)
    assert now.left == 40.0
    shown = progress_html(now, "en")
    assert "about 40.0 s left" in shown
    assert 'role="progressbar" aria-label="Progress"' in shown


def test_a_column_that_was_not_chosen_is_an_error_of_the_page(
    pipe: Pipeline, tmp_path: Path
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("id,body\n1,good\n", encoding="utf-8")
    with pytest.raises(InputError, match="there is no 'text' among the columns id, body") as caught:
        last(pipe, source, tmp_path)
    assert caught.value.hint == "Choose the column on this page, or name it 'text' in the file."


def test_long_words_leave_room_for_the_columns_beside_them(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(f"text\n<{'w' * 50}&{'x' * 10} y\n", encoding="utf-8")
    shown = look_html(look(Tone(), source), "en")
    first, second = f"&lt;{'w' * 23}", "w" * 24
    assert f"<td>{first}<wbr>{second}<wbr>www&amp;{'x' * 10} y</td>" in shown


def test_foreign_rows_are_counted(pipe: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "rows.txt"
    source.write_text("good\n这部电影很好看\nbad\n", encoding="utf-8")
    end = last(pipe, source, tmp_path)
    assert (end.watched.foreign.total, end.watched.foreign.count) == (3, 1)
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

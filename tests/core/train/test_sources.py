"""Sources: files of every kind and data sets of the `datasets` library give the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlplug.data import DataRow, open_writer
from nlplug.data.formats import DataFile
from nlplug.errors import DataError
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.task import Localized
from nlplug.text.words import alike
from nlplug.train import rows as divided
from nlplug.train.check import check_files
from nlplug.train.sources import hold_out, read_source, read_sources

pytestmark = pytest.mark.train

ROWS = [{"text": f"text {i}", "label": ("neg", "pos")[i % 2]} for i in range(6)]


class ToyTask(SequenceClassificationTask):
    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"


def values(source: Path | str, split: str = "train") -> list[dict[str, object]]:
    return [row.values for row in read_source(str(source), split=split)]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.jsonl", "a.jsonl.gz"])
def test_a_file_is_read_by_its_name(tmp_path: Path, name: str) -> None:
    with open_writer(tmp_path / name) as writer:
        for row in ROWS:
            writer.write(row)
    assert values(tmp_path / name) == ROWS


def test_a_folder_of_data_files_is_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "set").mkdir()
    for split, rows in (("train", ROWS[:4]), ("validation", ROWS[4:])):
        with open_writer(tmp_path / "set" / f"{split}.jsonl") as writer:
            for row in rows:
                writer.write(row)
    assert values(tmp_path / "set") == ROWS[:4]
    assert values(tmp_path / "set", "validation") == ROWS[4:]
    assert values(f"{tmp_path / 'set'}:validation") == ROWS[4:]


def test_a_saved_data_set_names_its_labels(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    datasets.Dataset.from_list(ROWS, features=features).save_to_disk(str(tmp_path / "set"))
    assert values(tmp_path / "set") == ROWS


def test_a_row_of_a_data_set_is_named_by_split_and_number(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "set"))
    second = list(read_source(str(tmp_path / "set"), split="train"))[1]
    assert second.where == f"{tmp_path / 'set'}:train:2"


def test_what_is_neither_file_nor_data_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="'no-such/set' is neither a file nor a data set"):
        values("no-such/set")


def test_a_missing_file_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        values(tmp_path / "missing.csv")


def test_a_limit_counts_over_all_sources(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        with open_writer(tmp_path / name) as writer:
            for row in ROWS:
                writer.write(row)
    paths = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    assert len(read_sources(paths, split="train", limit=8)) == 8
    assert len(read_sources(paths, split="train", limit=None)) == 12


def test_files_without_rows_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="No rows"):
        read_sources([str(tmp_path / "a.csv")], split="train", limit=None)


def test_if_no_row_of_a_file_can_be_read_the_error_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('["a", "b"]\n[1]\n')
    with pytest.raises(DataError) as caught:
        read_sources([str(path)], split="train", limit=None, file=skipping, reports=[])
    assert caught.value.message == f"No rows in {path}."
    assert "2 skipped: the row is an array" in (caught.value.hint or "")


def skipping(path: Path) -> DataFile:
    """A file whose rows that cannot be read are left out."""
    return DataFile(path, on_skip=lambda _: None)


def test_holding_out_goes_by_the_text_and_not_by_its_place() -> None:
    rows = [DataRow({"text": f"text {i}"}, Path("a"), i) for i in range(400)]
    kept, held = hold_out(rows, 0.25, lambda row: row.values["text"])
    again = hold_out(rows[::-1] + rows[:5], 0.25, lambda row: row.values["text"])
    assert 70 < len(held) < 130
    assert not {row.line for row in kept} & {row.line for row in held}
    assert {row.line for row in again[1]} == {row.line for row in held}


def test_texts_that_differ_only_in_writing_are_on_one_side() -> None:
    def text(row: DataRow) -> str:
        return str(row.values["text"])

    ways = ("Text {}, please!", "text {} please", "TEXT {}  PLEASE.")
    texts = [way.format(number) for number in range(60) for way in ways]
    rows = [DataRow({"text": text}, Path("a"), line) for line, text in enumerate(texts)]
    for kept, held in (hold_out(rows, 0.4, text), divided.split(rows, 0.4, text)):
        assert kept
        assert held
        assert not {row.line // 3 for row in kept} & {row.line // 3 for row in held}
    found = divided.folds(texts, ["x"] * len(texts))
    assert found[::3] == found[1::3] == found[2::3]
    # Without words, texts are as they are written.
    assert [alike(text) for text in ("?!", ":-)", "A b-c", "１st")] == ["?!", ":-)", "a b c", "1st"]


@pytest.mark.parametrize("rare", ["c", "a,c"])
def test_a_label_of_held_out_rows_alone_is_trained_on(tmp_path: Path, rare: str) -> None:
    task = ToyTask()
    lines = [{"text": f"text {i}", "labels": ["a", "b"][i % 2 :]} for i in range(100)]
    rows = [DataRow(dict(line), Path("a"), at) for at, line in enumerate(lines)]
    _, held = hold_out(rows, 0.2, lambda row: str(row.values["text"]))
    lines[held[3].line]["labels"] = rare.split(",")
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    config = SequenceClassificationConfig(
        base="", data=[str(file)], output=tmp_path / "out", eval_share=0.2
    )
    check, _ = check_files(task, config)
    assert not check.errors
    assert check.rows["train"] == 100 - len(held) + 1
    assert check.labels["c"] == 1
    assert "1 not held out, because no other row has the label" in check.files[0]

    # An evaluation file is what it is.
    other = tmp_path / "eval.jsonl"
    other.write_text(json.dumps({"text": "new", "labels": ["d"]}) + "\n")
    check, _ = check_files(task, config.model_copy(update={"eval": [str(other)]}))
    assert "unknown label 'd'" in str(check.errors[0])


def test_what_was_understood_of_each_file_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.csv").write_bytes("text;label\nschön;0101\nnein;101\n".encode("latin-1"))
    with caplog.at_level("INFO", logger="nlplug.data"):
        found = values(tmp_path / "a.csv")
    assert [row["label"] for row in found] == ["0101", "101"]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'a.csv'}: 2 rows, CSV with ';'; columns 'text', 'label'; "
        "2 labels: 0101, 101; encoding cp1252."
    ]


@pytest.mark.parametrize("separate", [True, False])
def test_fewer_evaluation_rows_are_not_those_of_one_label(tmp_path: Path, separate: bool) -> None:
    from nlplug.train.config import TrainConfig
    from nlplug.train.rows import read_run

    by_label = sorted(({"text": f"{i}", "label": "ab"[i % 2]} for i in range(100)), key=str)
    by_label.sort(key=lambda row: row["label"])
    file = tmp_path / "sorted.jsonl"
    with open_writer(file) as writer:
        for row in by_label:
            writer.write(row)
    files = {"data": [str(file)], "eval": [str(file)] if separate else []}
    config = TrainConfig(base="base", output=tmp_path / "out", max_eval_rows=6, **files)
    held = read_run(config, lambda row: str(row.values["text"])).eval
    assert len(held) == 6
    assert {row.values["label"] for row in held} == {"a", "b"}

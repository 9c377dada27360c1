"""Writing rows: what is written reads back, and a file is there whole or as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlplug.data import open_writer, read_rows
from nlplug.errors import DataError

ROWS = [{"text": "one, two", "label": "a"}, {"text": 'three\n"four"', "label": "b"}]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
    return path


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json"])
def test_rows_read_back_as_they_were(tmp_path: Path, suffix: str, gz: str) -> None:
    path = write(tmp_path / f"out{suffix}{gz}", ROWS)
    assert [row.values for row in read_rows(path)] == ROWS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"))))
def test_any_text_survives_a_table(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("table") / "out.csv"
    rows = [{"text": text} for text in texts]
    write(path, [{"text": "first"}, *rows])
    assert [row.values for row in read_rows(path)][1:] == rows


def test_no_rows_give_an_empty_json_array(tmp_path: Path) -> None:
    path = write(tmp_path / "out.json", [])
    assert list(read_rows(path)) == []


def test_the_same_rows_give_the_same_gzip_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, ROWS) for name in ("one.jsonl.gz", "two.jsonl.gz"))
    assert one.read_bytes() == two.read_bytes()


def test_nested_values_stand_in_a_table_as_json(tmp_path: Path) -> None:
    with open_writer(tmp_path / "out.csv") as writer:
        writer.write({"labels": ["a", "b"]})
    assert next(read_rows(tmp_path / "out.csv")).values == {"labels": '["a", "b"]'}


def test_what_json_does_not_have_becomes_null(tmp_path: Path) -> None:
    row = {"text": "a", "n": float("nan"), "of": [1.5, {"x": float("inf")}]}
    path = write(tmp_path / "out.jsonl", [row])
    assert path.read_text() == '{"text": "a", "n": null, "of": [1.5, {"x": null}]}\n'
    table = write(tmp_path / "out.csv", [row])
    assert table.read_text().splitlines()[1] == 'a,,"[1.5, {""x"": null}]"'


def test_an_exception_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "out.jsonl", ROWS)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), open_writer(path) as writer:
        writer.write({"text": "half"})
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    path = write(tmp_path / "large" / "rows.jsonl", ROWS[:1])
    path.chmod(0o600)
    link = tmp_path / "out.jsonl"
    link.symlink_to(path)
    write(link, ROWS)
    assert link.is_symlink()
    assert [row.values for row in read_rows(path)] == ROWS
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError), open_writer(link, keep=True) as writer:
        writer.write(ROWS[0])
        raise RuntimeError
    assert sorted(path.parent.iterdir()) == [path, path.with_name("rows.partial.jsonl")]


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "folder.jsonl", tmp_path / "pipe.csv"
    folder.mkdir()
    os.mkfifo(pipe)
    for path, what in ((folder, "a folder"), (pipe, "a pipe or a device")):
        with pytest.raises(DataError, match=f"{path.name}: is {what}, not a file"):
            open_writer(path)


@pytest.mark.parametrize("name", ["-", "out", "out.doc", "out.gz"])
def test_a_name_without_a_format_is_told_which_ones_are_written(name: str) -> None:
    with pytest.raises(DataError, match="its name does not say the format") as caught:
        open_writer(name)
    assert caught.value.hint == "Write .jsonl, .json, .csv, .tsv (also with .gz) or .xlsx."


def test_a_column_that_the_first_row_lacks_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="row 2 has the column 'b'"),
        open_writer(tmp_path / "out.csv") as writer,
    ):
        writer.write({"a": 1})
        writer.write({"a": 1, "b": 2})


def test_a_folder_that_is_not_there_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="cannot be written"),
        open_writer(tmp_path / "none" / "out.csv"),
    ):
        pass


def test_parquet_is_refused_with_what_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_writer(tmp_path / "out.parquet")
    assert ".jsonl" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["out.csv.bz2", "out.jsonl.xz", "out.csv.zip"])
def test_a_compression_that_is_not_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"\.(bz2|xz|zip)"):
        write(tmp_path / name, ROWS)
    assert not list(tmp_path.iterdir())

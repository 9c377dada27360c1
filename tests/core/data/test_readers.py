"""Reading rows: every format gives the same rows, every bad row is named by file and line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import zipfile
from pathlib import Path

import pytest

from nlplug.data import DataFile, ReadLimits, read_rows
from nlplug.errors import DataError

ROWS = [{"text": "good, “really” good", "label": "pos"}, {"text": 'a "bad" one', "label": "neg"}]
CSV = 'text,label\n"good, “really” good",pos\n"a ""bad"" one",neg\n'
TSV = 'text\tlabel\ngood, “really” good\tpos\n"a ""bad"" one"\tneg\n'
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
JSON = json.dumps(ROWS)

CONTENTS = {".csv": CSV, ".tsv": TSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSON}


def zipped(raw: bytes, *names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, raw)
    return held.getvalue()


COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda raw: lzma.compress(raw, format=lzma.FORMAT_ALONE),
}


def write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(COMPRESS.get(path.suffix, bytes)(raw))
    return path


def values(path: Path) -> list[dict[str, object]]:
    return [row.values for row in read_rows(path)]


def error(path: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_rows(path, **options))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("packed", ["", *COMPRESS])
@pytest.mark.parametrize("suffix", CONTENTS)
def test_every_text_format_gives_the_same_rows(tmp_path: Path, suffix: str, packed: str) -> None:
    path = write(tmp_path / f"rows{suffix}{packed}", CONTENTS[suffix])
    assert values(path) == ROWS


@pytest.mark.parametrize("packed", COMPRESS)
def test_a_compressed_file_that_is_damaged_is_named_with_the_line(
    tmp_path: Path, packed: str
) -> None:
    path = tmp_path / f"a.jsonl{packed}"
    path.write_bytes(COMPRESS[packed](b'{"text": "a"}\n' * 5)[:-12])
    assert ": the compressed file is damaged or cut off" in error(path).message
    path.write_bytes(b"text\na\n" * 9)
    assert f"{path}:1: the compressed file is damaged" in error(path).message


@pytest.mark.parametrize("packed", COMPRESS)
def test_what_a_compressed_file_holds_is_limited(tmp_path: Path, packed: str) -> None:
    path = write(tmp_path / f"a.txt{packed}", b"word\n" * 4_000_000)
    file = DataFile(path, limits=ReadLimits(total=1 << 20))
    with pytest.raises(DataError, match="holds more than 1,048,576 bytes"):
        list(read_rows(file))


@pytest.mark.parametrize(
    ("name", "command"),
    [("a.csv.7z", "7z x"), ("a.jsonl.zst", "zstd -d"), ("a.tgz", "tar -xf")],
)
def test_an_archive_is_refused_by_name(tmp_path: Path, name: str, command: str) -> None:
    path = write(tmp_path / name, "text\na\n")
    found = error(path)
    assert found.message == f"{path}: {path.suffix} files cannot be read."
    assert f"Unpack it ({command} {name})" in str(found.hint)


@pytest.mark.parametrize("suffix", CONTENTS)
@pytest.mark.parametrize("name", ["rows{}.zip", "data.zip"])
def test_the_only_file_of_an_archive_is_read(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / name.format(suffix)
    names = ("data/", "__MACOSX/data/._rows.csv", "data/.DS_Store", f"data/ROWS{suffix.upper()}")
    path.write_bytes(zipped(CONTENTS[suffix].encode(), *names))
    assert values(path) == ROWS


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a.csv", "b.csv"), "the archive holds 2 files: 'a.csv', 'b.csv'"),
        (tuple("abcd"), "the archive holds 4 files: 'a', 'b', 'c', …"),
        (("data/",), "the archive holds no file"),
        (("a.pdf",), "a.pdf: files with such a name cannot be read"),
        (("a.zip",), "a.zip: files with such a name cannot be read"),
        (("a.csv.7z",), "a.csv.7z: .7z files cannot be read"),
        (("a.xlsx",), ".xlsx files are not read from compressed files"),
    ],
)
def test_another_archive_is_refused_by_name(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "a.csv.zip"
    path.write_bytes(zipped(b"text\na\n", *names))
    found = error(path)
    assert found.message.startswith(str(path))
    assert message in found.message
    assert found.hint


def test_an_archive_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.zip"
    raw = zipped(b"text\n" + os.urandom(3000).hex().encode(), "a.csv")
    for bad in (b"text\na\n", raw[:-40], b""):
        path.write_bytes(bad)
        assert "this is not a zip archive, or it is damaged" in error(path).message
    path.write_bytes(raw[:900] + bytes(200) + raw[1100:])
    assert "the compressed file is damaged or cut off" in error(path).message
    locked = bytearray(raw)
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        locked[locked.index(mark) + place] |= 1
    path.write_bytes(bytes(locked))
    assert "'a.csv' has a password" in error(path).message


def test_what_an_archive_holds_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b"word\n" * 4_000_000, "a.txt"))
    file = DataFile(path, limits=ReadLimits(total=1 << 20))
    with pytest.raises(DataError, match="holds more than 1,048,576 bytes"):
        list(read_rows(file))


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == ROWS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_plain_text_gives_one_row_a_line_and_skips_blank_ones(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "rows.txt", end.join(["one", "", " \t", "  two ", "\u3000three"]))
    assert [(row.line, row.values) for row in read_rows(path)] == [
        (1, {"text": "one"}),
        (4, {"text": "  two "}),
        (5, {"text": "\u3000three"}),
    ]


def test_upper_case_names_and_byte_order_marks_are_understood(tmp_path: Path) -> None:
    assert values(write(tmp_path / "ROWS.CSV", "\ufeff" + CSV)) == ROWS


def test_a_row_knows_its_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 'text,label\n"two\nlines",a\nnext,b\n')
    assert [row.where for row in read_rows(path)] == [f"{path}:2", f"{path}:4"]


def test_a_field_may_hold_a_whole_document(tmp_path: Path) -> None:
    long = "word " * 100_000
    path = write(tmp_path / "rows.csv", f'text,label\n"{long}",a\n')
    assert values(path) == [{"text": long, "label": "a"}]


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"text": "a"}\nbroken\n')
    assert next(read_rows(path)).values == {"text": "a"}


def test_a_limit_stops_before_the_next_row_is_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"text": "a"}\n{"text": "b"}\n')
    assert [row.values["text"] for row in read_rows(path, limit=1)] == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "line", "word"),
    [
        ("a.jsonl", '{"text": "a"}\n\n{"text": \n', 3, "not JSON"),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', 2, "an array"),
        ("a.json", '[\n{"text": "a"},\n{"text" "b"}]', 3, "not JSON"),
        ("a.json", '{"text": "a"}', 1, "an object with 'text'"),
        ("a.json", '[{"text": "a"}, 7]', 2, "a number, 7"),
        ("a.csv", "text,label\na,b\na,b,c\n", 3, "3 fields"),
        ("a.csv", 'text,label\na,b\n"a"x,b\n', 3, "table"),
        ("a.csv", "text,text\na,b\n", 1, "more than once"),
        ("a.tsv", "", 1, "empty"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', 2, "UTF-8"),
        ("a.csv.gz", b"text,label\na,b\n\xff,b\n", 3, "UTF-8"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, line: int, word: str
) -> None:
    path = write(tmp_path / name, content)
    message = error(path).message
    assert message.startswith(f"{path}:{line}: ")
    assert word in message


def test_a_gzip_file_that_was_cut_off_is_named_with_the_line(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"text": "a"}\n' * 5)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[:-8])
    assert f"{path}:6: the compressed file" in error(path).message


def test_a_file_that_is_no_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text(CSV)
    assert f"{path}:1: the compressed file" in error(path).message


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".txt", ".conll"])
def test_a_packed_file_with_the_name_of_a_text_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(b"text\nI loved it\n"))
    with pytest.raises(DataError, match=r"this is a gzip file, not text") as caught:
        list(read_rows(path))
    assert caught.value.hint == "Let its name end with .gz, or unpack it."


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "a.parquet", "text,label\n")
    assert f"{path}:1: not readable as Parquet" in error(path).message


def test_a_missing_column_is_named_with_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,sentiment\ngood,pos\n")
    found = error(path, columns=["label"])
    assert found.message == f"{path}:2: the column 'label' is missing."
    assert "'sentiment'" in str(found.hint)


def test_a_null_in_a_needed_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": null}\n')
    assert error(path, columns=["text"]).message == f"{path}:2: the column 'text' is empty."


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device" in error(tmp_path / "pipe").message
    assert "no such file" in error(tmp_path / "a.csv").message
    assert "is a folder" in error(tmp_path).message


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    found = error(write(tmp_path / "rows.ods", "x"))
    assert ".jsonl" in str(found.hint)


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "loop.csv"])
def test_a_name_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert "x" * 300 in str(error(tmp_path / name)) or "no such file" in str(error(tmp_path / name))


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], ["text"] * 2)
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert "'text' more than once" in error(tmp_path / "rows.parquet").message


@pytest.mark.parametrize(
    ("content", "what"),
    [("<!DOCTYPE html>\n<html>Sign in</html>\n", "a web page"), ("{\\rtf1\\ansi a}", "an RTF")],
)
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.tsv"])
def test_a_page_or_document_under_another_name_is_refused(
    tmp_path: Path, name: str, content: str, what: str
) -> None:
    assert f"this is {what}" in error(write(tmp_path / name, content)).message


def test_lone_surrogates_are_not_taken_for_letters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"text,label\ngood,x\n\xed\xa0\x80,x\n")
    assert error(path).message.startswith(f"{path}:3: not UTF-8")

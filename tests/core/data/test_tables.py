"""Tables: delimiter, quoting, encoding and line ends are detected, or refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlplug.data import DataFile, ReadLimits, SkippedRow, open_writer, read_rows
from nlplug.errors import DataError, OptionError

ROWS = [{"text": "Sehr schön, müde", "label": "1"}, {"text": "Nicht gut", "label": "0"}]


def read(path: Path, content: str | bytes, **options: Any) -> tuple[list[dict[str, Any]], str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = DataFile(path, **options)
    rows = [row.values for row in read_rows(file)]
    return rows, str(file.report).removeprefix(f"{path.parent}/")


def refused(path: Path, content: str | bytes, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, content, **options)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_delimiter_is_detected_where_it_alone_fits(tmp_path: Path, name: str, mark: str) -> None:
    content = f"text{mark}label\nSehr schön, müde{mark}1\nNicht gut{mark}0\n"
    rows, line = read(tmp_path / name, content)
    assert rows == ROWS
    assert ("tabs" if mark == "\t" else repr(mark)) in line


@pytest.mark.parametrize("mark", [";", "|", "\t", "^"])
def test_a_first_line_may_name_the_delimiter(tmp_path: Path, mark: str) -> None:
    content = f"sep={mark}\ntext{mark}label\nSehr schön, müde{mark}1\nNicht gut{mark}0\nx\n"
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    lines = read_rows(tmp_path / "a.csv")
    assert [next(lines).values, next(lines).values] == ROWS
    with pytest.raises(DataError, match=":5: 1 field where the header has 2"):
        next(lines)


def test_two_delimiters_that_fit_are_refused_and_one_can_be_given(tmp_path: Path) -> None:
    content = "a;b|c\n1;2|3\n"
    assert "';' or '|'" in refused(tmp_path / "a.csv", content).message
    rows, _ = read(tmp_path / "a.csv", content, delimiter=";")
    assert rows == [{"a": "1", "b|c": "2|3"}]


def test_the_usual_delimiter_wins_and_a_single_column_stays_one(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "a;x,b\n1;2,3\n")[0] == [{"a;x": "1;2", "b": "3"}]
    assert read(tmp_path / "a.csv", "text\nGood; bad\n")[0] == [{"text": "Good; bad"}]


@pytest.mark.parametrize(
    "options", [{"delimiter": "ab"}, {"encoding": "utf-99"}, {"format": "xml"}]
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=next(iter(options.values()))):
        DataFile(tmp_path / "a.csv", **options)


TSV = 'text\tlabel\n"A great start\t1\nMiddle\t0\nend of it"\t0\n"Bad" movie\t1\n'


def test_a_quote_in_a_tsv_swallows_no_row(tmp_path: Path) -> None:
    rows, line = read(tmp_path / "a.tsv", TSV)
    assert [row["text"] for row in rows] == [
        '"A great start',
        "Middle",
        'end of it"',
        '"Bad" movie',
    ]
    assert "4 rows" in line


def test_well_formed_quotes_of_a_tsv_are_read(tmp_path: Path) -> None:
    content = 'label\ttext\n1\t"two\nlines"\n0\t"a ""b"" c"\n2\t"tab\there"\n'
    rows, _ = read(tmp_path / "a.tsv", content)
    assert [row["text"] for row in rows] == ["two\nlines", 'a "b" c', "tab\there"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='\x00\t\n\r"'))))
def test_any_text_of_one_line_survives_a_tsv(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("table") / "out.tsv"
    rows = [{"text": text, "id": str(number)} for number, text in enumerate(["first", *texts])]
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
    assert [row.values for row in read_rows(path)] == rows


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("latin-1", "cp1252"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_encodings_are_detected_and_said(
    tmp_path: Path, name: str, encoding: str, said: str
) -> None:
    raw = "text;label\nSehr schön, müde;1\nNicht gut;0\n".encode(encoding)
    rows, line = read(tmp_path / name, gzip.compress(raw) if name.endswith("gz") else raw)
    assert rows == ROWS
    assert f"encoding {said}" in line


def test_utf_8_is_not_mentioned(tmp_path: Path) -> None:
    assert "encoding" not in read(tmp_path / "a.csv", "text\nschön\n")[1]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Это был очень хороший фильм", "cp1251"),
        ("Это был очень хороший фильм", "koi8-r"),
        ("To był bardzo dobry film", "cp1250"),
        ("这部电影非常好看", "gb18030"),
        ("この映画は面白かった", "shift_jis"),
    ],
)
def test_other_encodings_are_refused_unless_they_are_given(
    tmp_path: Path, text: str, encoding: str
) -> None:
    raw = f"text,label\n{text},1\n".encode(encoding)
    error = refused(tmp_path / "a.csv", raw)
    assert error.message.startswith(f"{tmp_path / 'a.csv'}:2: not UTF-8")
    assert "--encoding" in str(error.hint)
    assert read(tmp_path / "a.csv", raw, encoding=encoding)[0] == [{"text": text, "label": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(tmp_path: Path, end: str) -> None:
    content = end.join(["text,label", "one,1", '"two, too",0', ""])
    rows, line = read(tmp_path / "a.csv", content)
    assert rows == [{"text": "one", "label": "1"}, {"text": "two, too", "label": "0"}]
    assert ("carriage return" in line) == (end == "\r")


def test_rows_that_cannot_be_read_are_skipped_and_counted_with_the_reason(tmp_path: Path) -> None:
    skipped: list[SkippedRow] = []
    content = b'text,label\na,1\n"a"x,b\nb,2,3\n\xff\x81,b\nc,3\n'
    rows, line = read(tmp_path / "a.csv", content, on_skip=skipped.append)
    assert [row["text"] for row in rows] == ["a", "c"]
    assert [row.line for row in skipped] == [3, 4, 5]
    assert "2 rows" in line
    assert "3 skipped" in line
    assert "3 fields where the header has 2 (1)" in line


@pytest.mark.parametrize("later", ["", 'd "quoted" word,2\n', '"e",2\n'])
def test_a_quote_that_does_not_end_takes_no_other_row_with_it(tmp_path: Path, later: str) -> None:
    skipped: list[SkippedRow] = []
    content = f'text,label\na,1\n"A great start,1\nb,2\n{later}c,3\n'
    rows, _ = read(tmp_path / "a.csv", content.encode(), on_skip=skipped.append)
    own = [later.split(",")[0].strip('"')] if later else []
    assert [row["text"] for row in rows] == ["a", "b", *own, "c"]
    assert [row.line for row in skipped] == [3]


def test_a_token_per_row_becomes_a_row_per_sentence(tmp_path: Path) -> None:
    content = (
        "Sentence #,Word,POS,Tag\nSentence: 1,Anna,NNP,B-per\n,sings,VB,O\n"
        "Sentence: 2,Rome,NNP,B-geo\n"
    )
    rows, line = read(tmp_path / "ner.csv", content)
    assert rows == [
        {"tokens": ["Anna", "sings"], "tags": ["B-per", "O"]},
        {"tokens": ["Rome"], "tags": ["B-geo"]},
    ]
    assert "2 sentences" in line
    assert "'Sentence #'" in line


def test_a_packed_file_that_holds_too_much_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"word " * 4_000_000))
    assert path.stat().st_size < 50_000
    limits = ReadLimits(line=1 << 16, total=1 << 20)
    with pytest.raises(DataError, match=r"bomb\.txt\.gz.* longer than 65,536 characters"):
        list(read_rows(DataFile(path, limits=limits)))
    path.write_bytes(gzip.compress(b"word\n" * 4_000_000))
    with pytest.raises(DataError, match="holds more than 1,048,576 bytes"):
        list(read_rows(DataFile(path, limits=limits)))
    assert sum(1 for _ in read_rows(path, limit=1_000_000)) == 1_000_000


def test_a_plain_file_and_a_parquet_file_have_the_limit_too(tmp_path: Path) -> None:
    limits = ReadLimits(total=10_000)
    path = tmp_path / "a.txt"
    path.write_text("word\n" * 10_000)
    with pytest.raises(DataError, match="holds more than"):
        list(read_rows(DataFile(path, limits=limits)))
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist([{"text": "word " * 1000}] * 1000)
    parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(DataError, match="holds more than"):
        list(read_rows(DataFile(tmp_path / "a.parquet", limits=limits)))


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";")])
def test_a_header_that_is_repeated_is_no_row(tmp_path: Path, name: str, mark: str) -> None:
    lines = ("text,label", "good,pos", "text,label", "bad,neg")
    content = "\n".join(line.replace(",", mark) for line in lines)
    rows, line = read(tmp_path / name, content)
    assert [row["label"] for row in rows] == ["pos", "neg"]
    assert "lines that repeat the header are left out" in line


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";")])
def test_a_row_without_a_value_is_no_row(tmp_path: Path, name: str, mark: str) -> None:
    lines = ("text,label", "good,pos", ",", " , ", "bad,neg")
    content = "\n".join(line.replace(",", mark) for line in lines)
    rows, line = read(tmp_path / name, content)
    assert [row["label"] for row in rows] == ["pos", "neg"]
    assert "lines without a value are left out" in line
    rows, line = read(tmp_path / name, content.replace("good", ""))
    assert [row["text"] for row in rows] == ["", "bad"]  # one value is missing: still a row


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\r\n\x1a", ""])
@pytest.mark.parametrize("packed", [False, True])
def test_the_mark_behind_the_last_line_of_a_dos_file_is_no_text(
    tmp_path: Path, end: str, packed: bool
) -> None:
    content = f"text;label\ngood \x1a;pos\nbad, really;neg{end}"
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    rows = [row.values for row in read_rows(path)]
    assert rows == [
        {"text": "good \x1a", "label": "pos"},
        {"text": "bad, really", "label": "neg"},
    ]


def test_in_one_column_the_name_of_the_column_may_be_a_text(tmp_path: Path) -> None:
    rows, line = read(tmp_path / "a.csv", "text\ngood\ntext\n")
    assert [row["text"] for row in rows] == ["good", "text"]
    assert "header" not in line


@pytest.mark.parametrize("begin", ["\n\n", "   \n", " ; \n", "SEP=;\n"])
def test_the_header_is_the_first_line_that_is_not_blank(tmp_path: Path, begin: str) -> None:
    rows, line = read(tmp_path / "a.csv", f"{begin}text;label\ngood;pos\nbad;neg\n")
    assert rows == [{"text": "good", "label": "pos"}, {"text": "bad", "label": "neg"}]
    assert "';'" in line


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "text,label\nschön,1\n"), ("a.jsonl", '{"text": "schön", "label": "1"}\n')],
)
def test_wide_encodings_without_a_mark_are_detected(
    tmp_path: Path, name: str, content: str, encoding: str
) -> None:
    rows, line = read(tmp_path / name, content.encode(encoding))
    assert rows == [{"text": "schön", "label": "1"}]
    assert encoding in line


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
@pytest.mark.parametrize("content", ['{"text": "good"}\n', '\n[{"text": "good"},\n{"text": ""}]'])
def test_json_under_the_name_of_another_format_is_refused(
    tmp_path: Path, name: str, content: str
) -> None:
    error = refused(tmp_path / name, content)
    assert "this is JSON" in error.message
    assert "--format jsonl" in str(error.hint)


def test_json_is_a_text_where_the_format_says_so(tmp_path: Path) -> None:
    rows, _ = read(tmp_path / "a.txt", '{"text": "good"}\n', format="txt")
    assert rows == [{"text": '{"text": "good"}'}]


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS"),
        (b"ARROW1\0\0", "Arrow"),
        (b"\xff\xff\xff\xff\x30\0", "Arrow"),
        (b"SQLite format 3\0", "SQLite"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"\x80\x04\x95\x10", "pickle"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.jsonl"])
def test_files_that_are_no_text_are_named(
    tmp_path: Path, name: str, begin: bytes, what: str
) -> None:
    assert what in refused(tmp_path / name, begin).message

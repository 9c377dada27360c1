"""Excel workbooks: what is written reads back, cells are text, and nothing is executed or lost."""

from __future__ import annotations

import contextlib
import io
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from fuzz_kit import bounded
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from nlplug.data import DataFile, ReadLimits, open_writer, read_rows
from nlplug.errors import DataError

ROWS = [{"text": "one, two", "label": "a"}, {"text": 'three\n"four"', "label": "=1+1"}]


def workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    """A workbook as other programs write it."""
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
    return path


def values(file: Path | DataFile) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(file)]


def test_rows_read_back_as_they_were_and_a_text_is_no_formula(tmp_path: Path) -> None:
    path = write(tmp_path / "out.xlsx", ROWS)
    assert values(path) == ROWS
    assert load_workbook(path).active["B3"].data_type == "s"


@pytest.mark.fuzz
@bounded(10)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.xlsx"
    rows = [{"text": text} for text in ["first", "_x0041_", "\x01", *texts]]
    assert values(write(path, rows)) == rows


def test_a_carriage_return_is_not_left_to_the_writer_of_the_xml(tmp_path: Path) -> None:
    path = write(tmp_path / "lines.xlsx", [{"text": "first\r\nsecond\rthird"}])
    assert values(path) == [{"text": "first\r\nsecond\rthird"}]
    with zipfile.ZipFile(path) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
    assert "first_x000D_\nsecond_x000D_third" in sheet


def test_cells_are_text_as_in_a_csv_file(tmp_path: Path) -> None:
    cells = [5, 2.5, True, date(2026, 11, 28), datetime(2026, 11, 28, 9, 30), "#N/A", None, "end"]
    path = workbook(tmp_path / "a.xlsx", [list("abcdefgh"), cells])
    assert list(values(path)[0].values()) == [
        "5", "2.5", "true", "2026-11-28", "2026-11-28T09:30:00", "#N/A", "", "end",
    ]  # fmt: skip


def test_numbers_are_written_as_numbers_unless_excel_would_round_them(tmp_path: Path) -> None:
    row = {"score": 0.25, "rank": 3, "id": 2**60, "more": {"a": [1]}, "none": None}
    sheet = load_workbook(write(tmp_path / "a.xlsx", [row])).active
    found = [cell.value for cell in sheet[2]]
    assert found == [0.25, 3, str(2**60), '{"a": [1]}', None]


def test_the_report_names_the_sheet_and_those_that_are_not_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [], [[None], ["text"], ["good"], [], ["bad"]], [["more"]])
    file = DataFile(path)
    assert values(file) == [{"text": "good"}, {"text": "bad"}]
    told = str(file.report)
    assert "Excel, sheet 'Sheet2'" in told and "sheets that are not read: 'Sheet3'" in told


def test_a_row_with_more_cells_than_the_header_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text"], ["good", "bad"]])
    with pytest.raises(DataError, match=r"a\.xlsx:2: 2 fields where the header has 1"):
        values(path)


def test_what_excel_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    for name, text in (("a.xlsx", "a" * 32_768), ("a.xlsx.gz", "a")):
        with pytest.raises(DataError):
            write(tmp_path / name, [{"text": text}])
    assert list(tmp_path.iterdir()) == []


def test_a_workbook_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text"], ["a" * 30_000]])
    with pytest.raises(DataError, match=r"more than 1,000 bytes"):
        values(DataFile(path, limits=ReadLimits(total=1000)))


def test_standard_input_is_read_too(tmp_path: Path) -> None:
    content = write(tmp_path / "a.xlsx", ROWS).read_bytes()
    assert values(DataFile(Path("-"), format="xlsx", stream=io.BytesIO(content))) == ROWS


@pytest.mark.fuzz
@bounded(15)
@given(st.data())
def test_a_damaged_workbook_gives_rows_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    whole = path.with_name("whole.xlsx")
    if not whole.exists():
        write(whole, ROWS)
    with zipfile.ZipFile(whole) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    at = data.draw(st.integers(0, len(parts[name])))
    put = data.draw(st.binary(max_size=4) | st.sampled_from([b"<", b"</row>", b"&x;", b'"']))
    parts[name] = parts[name][:at] + put + parts[name][at + data.draw(st.integers(0, 9)) :]
    with zipfile.ZipFile(path, "w") as packed:
        for part, content in parts.items():
            packed.writestr(part, content)
    with contextlib.suppress(DataError):
        values(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text,label\n", b"\xd0\xcf\x11\xe0"])
def test_what_is_no_workbook_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx:1: not readable as an Excel workbook"):
        values(tmp_path / "a.xlsx")


def test_a_header_that_is_repeated_is_no_row(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for cells in (["text", "label"], ["good", "pos"], ["text", "label"], ["bad", "neg"]):
        book.active.append(cells)
    book.save(tmp_path / "a.xlsx")
    assert [row.values["label"] for row in read_rows(tmp_path / "a.xlsx")] == ["pos", "neg"]

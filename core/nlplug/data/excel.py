"""Rows of Excel workbooks (.xlsx), read and written with openpyxl."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any

from nlplug.data.formats import DataFile
from nlplug.data.lines import too_large
from nlplug.data.rows import DataRow
from nlplug.data.table import header_names, is_left_out, table_row
from nlplug.data.unusable import Unusable
from nlplug.errors import DataError
from nlplug.extras import require

# Limits of the format: https://support.microsoft.com/office/excel-specifications-and-limits
MAX_ROWS = 1_048_576
MAX_CELL = 32_767


def excel_rows(file: DataFile) -> Iterator[DataRow | Unusable]:
    """The rows of the first sheet that has any; its first row names the columns.

    All cells are text, as in a CSV file: a number as its digits, a date in ISO format, an
    empty cell as the empty text. Of a formula the value that was stored with it is read.

    Raises:
        DataError: No workbook, or one without rows.
        MissingExtra: openpyxl is not installed.
    """
    openpyxl = require("openpyxl", "excel", purpose="Reading Excel files")
    # The format needs a file in which one can seek.
    source: Any = file.path if file.stream is None else io.BytesIO(file.stream.read())
    number = 0
    try:
        _check_size(file, source)
        with warnings.catch_warnings(action="ignore"):  # of parts that have no rows
            book = openpyxl.load_workbook(source, read_only=True, data_only=True)
        try:
            sheets = [(sheet.title, _records(sheet)) for sheet in book.worksheets]
            found = ((name, rows, row) for name, rows in sheets if (row := next(rows, None)))
            title, records, first = next(found, ("", iter(()), None))
            if first is None:
                raise DataError(
                    f"{file.path}: the workbook is empty.",
                    hint="The first row of a sheet names the columns.",
                )
            file.report.format = f"Excel, sheet {title!r}"
            unread = [name for name, rows in sheets if rows is not records and any(rows)]
            if unread:
                file.report.note(f"sheets that are not read: {', '.join(map(repr, unread))}")
            number, cells = first
            header = header_names(cells, file.path, number)
            for number, cells in records:
                padded = [*cells, *[""] * (len(header) - len(cells))]
                if not is_left_out(header, padded, file):
                    yield table_row(header, padded, file.path, number)
        finally:
            book.close()
    except DataError:
        raise
    except Exception as error:  # openpyxl raises errors of any type for a damaged file
        raise DataError(
            f"{file.path}:{number + 1}: not readable as an Excel workbook "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}).",
            hint="Save it again as .xlsx, or as .csv.",
        ) from None


def _check_size(file: DataFile, source: Any) -> None:
    """A small workbook may unpack to a very large one."""
    if file.limits.total is not None:
        with zipfile.ZipFile(source) as packed:
            if sum(part.file_size for part in packed.infolist()) > file.limits.total:
                raise too_large(file)


def _records(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with their numbers and without empty cells at the end."""
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if "_x" in value:
            unescape = require("openpyxl.utils.escape", "excel", purpose="Reading Excel files")
            value = unescape.unescape(value)
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()  # as in JSON
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return value.isoformat() if isinstance(value, date | time) else str(value)


class ExcelSheet:
    """Writes rows into the only sheet of a workbook.

    Args:
        path: The target, for messages.

    Raises:
        MissingExtra: openpyxl is not installed.
    """

    def __init__(self, path: Path) -> None:
        openpyxl = require("openpyxl", "excel", purpose="Writing Excel files")
        self._illegal = require(
            "openpyxl.cell.cell", "excel", purpose="Writing Excel files"
        ).ILLEGAL_CHARACTERS_RE
        self._cell = require("openpyxl.cell", "excel", purpose="Writing Excel files").WriteOnlyCell
        self._path = path
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("rows")
        self._count = 0

    def write(self, cells: Sequence[Any]) -> None:
        """Add a row.

        Args:
            cells: Texts, numbers, truth values and None.

        Raises:
            DataError: More rows than a sheet can have, or a longer text than a cell can have.
        """
        self._count += 1
        if self._count > MAX_ROWS:
            raise DataError(
                f"{self._path}: a sheet of Excel has at most {MAX_ROWS:,} rows.",
                hint="Write .csv or .jsonl.",
            )
        self._sheet.append([self._made(cell) for cell in cells])

    def save(self, file: IO[bytes]) -> None:
        """Write the workbook."""
        self._book.save(file)

    def discard(self) -> None:
        """End without a workbook; openpyxl removes its temporary file only where it was saved."""
        with Path(os.devnull).open("wb") as nowhere:
            self._book.save(nowhere)

    def _made(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        # The format's own way to write control characters, and what looks like it. XML may hold a
        # carriage return, but a reader takes it for a line feed.
        written = value.replace("_x", "_x005F_x").replace("\r", "_x000D_")
        written = self._illegal.sub(lambda found: f"_x{ord(found[0]):04X}_", written)
        written = written.encode("utf-8", "replace").decode()
        if len(written) > MAX_CELL:
            raise DataError(
                f"{self._path}: row {self._count} has a text of {len(value):,} characters; a cell "
                f"of Excel has at most {MAX_CELL:,}.",
                hint="Write .csv or .jsonl.",
            )
        cell = self._cell(self._sheet, value=written)
        cell.data_type = "s"  # a text that begins with "=" is not a formula
        return cell

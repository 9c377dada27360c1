"""Writing rows as CSV, TSV, JSON Lines, JSON (each also as .gz) or Excel; whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from nlplug.answer_values import numpy_as_json
from nlplug.data.excel import ExcelSheet
from nlplug.data.formats import CONLL, data_format
from nlplug.data.packed import packing
from nlplug.errors import DataError
from nlplug.models.atomic import Staged

_GZIP = ".gz"
_WRITTEN = "Write .jsonl, .json, .csv, .tsv (also with .gz) or .xlsx."
_EXACT = 2**53
"""Excel keeps numbers as doubles, so larger ones are written as text."""


class RowWriter:
    """Writes rows to a temporary file next to the target, which replaces the target at the end.

    Leaving the ``with`` block by an exception leaves the target as it was.

    Args:
        path: The target; its name says the format.
        keep: Whether the rows written before an exception are kept, in a file next to the target.

    Attributes:
        count: Rows written so far.
        kept: The file of the rows before an exception, such as ``out.partial.csv``; else None.
    """

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        try:
            kind = data_format(path)
        except DataError:  # its hint names what can be read
            raise DataError(f"{path}: its name does not say the format.", hint=_WRITTEN) from None
        packed = packing(path)
        no_kind = kind in (".parquet", ".txt", *CONLL) or (kind == ".xlsx" and packed)
        if no_kind or packed not in (None, _GZIP):
            raise DataError(
                f"{path}: rows cannot be written as {kind if no_kind else packed}.", hint=_WRITTEN
            )
        if path.exists() and not path.is_file():  # a file would take the place of a pipe
            what = "a folder" if path.is_dir() else "a pipe or a device"
            raise DataError(f"{path}: is {what}, not a file.", hint="Name another file.")
        self._path = Path(os.path.realpath(path)) if path.is_symlink() else path
        self._kind = kind
        self._packed = packed is not None
        self._staged: Staged | None = None
        self._raw: IO[bytes] | None = None
        self._file: IO[str] | None = None
        self._columns: list[str] | None = None
        self._sheet = ExcelSheet(path) if kind == ".xlsx" else None
        self._keep = keep
        self.count = 0
        self.kept: Path | None = None

    def __enter__(self) -> RowWriter:
        try:
            self._staged = Staged(self._path)
            self._raw = self._staged.path.open("wb")
        except OSError as error:
            raise DataError(
                f"{self._path}: cannot be written ({error.strerror or error}).",
                hint="The folder must exist and be writable.",
            ) from None
        binary: Any = self._raw
        if self._packed:
            # No name and no time in the header: the same rows give the same bytes.
            binary = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", mtime=0)
        # A lone surrogate, which a rejected row may hold, is written as JSON escapes it.
        self._file = io.TextIOWrapper(
            binary, encoding="utf-8", errors="backslashreplace", newline=""
        )
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row; in CSV and TSV the first row decides the columns.

        Raises:
            DataError: A later row of a table has a column that the first had not.
        """
        if self._file is None:
            raise DataError(
                f"{self._path}: the writer is not open.", hint="Use it in a with block."
            )
        if self._kind in (".csv", ".tsv", ".xlsx"):
            self._write_table(row, self._file)
        else:
            text = _json_of(dict(row))
            if self._kind == ".json":
                self._file.write("[\n" if self.count == 0 else ",\n")
                self._file.write(text)
            else:
                self._file.write(text + "\n")
        self.count += 1

    def flush(self) -> None:
        """Write what is buffered to the disk; the target stays as it was.

        Raises:
            OSError: There is no room.
        """
        if self._file is not None and self._raw is not None:
            self._file.flush()
            os.fsync(self._raw.fileno())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None or self._raw is None or self._staged is None:
            return
        keep = kind is not None and self._keep and self.count > 0
        file, self._file = self._file, None
        with self._staged as staged:
            if kind is not None and (not keep or isinstance(error, OSError)):
                with contextlib.suppress(OSError):  # the disk may be full
                    _close(file, self._raw)
                    if self._sheet is not None:
                        self._sheet.discard()
                if keep and self._kind == ".jsonl" and not self._packed:
                    self.count = _cut(staged.path)
                    self.kept = beside(self._path, "partial")
                    staged.commit(self.kept)
                return
            try:
                if self._kind == ".json":
                    file.write("[]\n" if self.count == 0 else "\n]\n")
                elif self._sheet is not None:
                    self._sheet.save(self._raw)
            finally:
                _close(file, self._raw)
            place = beside(self._path, "partial") if keep else self._path
            staged.commit(place)
            self.kept = place if keep else None

    def _write_table(self, row: Mapping[str, Any], file: IO[str]) -> None:
        if self._columns is None:
            self._columns = list(row)
            self._write_cells(self._columns, file)
        extra = [name for name in row if name not in self._columns]
        if extra:
            raise DataError(
                f"{self._path}: row {self.count + 1} has the column {extra[0]!r}, "
                "which the first row does not have.",
                hint="Write .jsonl if the rows have different columns.",
            )
        self._write_cells([row.get(name) for name in self._columns], file)

    def _write_cells(self, values: Sequence[Any], file: IO[str]) -> None:
        plain = (np.ndarray, np.generic)
        values = [value.tolist() if isinstance(value, plain) else value for value in values]
        if self._sheet is None:
            separator = "\t" if self._kind == ".tsv" else ","
            file.write(_line([_cell(value) for value in values], separator))
        else:
            self._sheet.write([_number(value) for value in values])


def _close(file: IO[str], raw: IO[bytes]) -> None:
    try:
        file.close()  # for gzip this writes the trailer, yet leaves the raw file open
    finally:
        raw.close()


def _cut(path: Path) -> int:
    """Cut a last line that is not whole; the number of lines that stay."""
    size = count = 0
    with path.open("r+b") as file:
        for line in file:
            if line.endswith(b"\n"):
                size, count = size + len(line), count + 1
        file.truncate(size)
    return count


def _json_of(row: dict[str, Any]) -> str:
    """A row as JSON, which has no NaN and no infinity: they become null, as pandas writes them."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=numpy_as_json)
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False, default=numpy_as_json)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(fields: Sequence[str], separator: str) -> str:
    """One line of a table; the csv module would leave a lone carriage return unquoted."""
    marks = (separator, '"', "\n", "\r")
    quoted = [
        '"' + field.replace('"', '""') + '"' if any(mark in field for mark in marks) else field
        for field in fields
    ]
    # A single empty field would be a blank line, which readers skip.
    return separator.join(quoted if quoted != [""] else ['""']) + "\n"


def _cell(value: Any) -> str:
    """Nested values as JSON, so that a table can be read back; None and NaN as an empty field."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, dict | list):
        return json.dumps(_finite(value), ensure_ascii=False, default=numpy_as_json)
    return str(value)


def _number(value: Any) -> Any:
    """A cell of a sheet: a finite number stays one."""
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < _EXACT:
        return value
    return _cell(value) or None


def beside(path: Path, word: str, *, kind: str | None = None) -> Path:
    """The name of a file in the folder of another one: ``out.csv.gz`` → ``out.partial.csv.gz``.

    Args:
        path: The other file.
        word: Word to insert before the suffix.
        kind: The suffix; None: that of the other file.
    """
    packed = path.suffix if packing(path) else ""
    plain = Path(path.name.removesuffix(packed))
    return path.with_name(f"{plain.stem}.{word}{plain.suffix + packed if kind is None else kind}")


def open_writer(path: str | Path, *, keep: bool = False) -> RowWriter:
    """A writer for use in a ``with`` block; the name of the file says the format.

    Args:
        path: The file.
        keep: Whether to keep the rows that were written before an exception; see `RowWriter`.

    Raises:
        DataError: A format that cannot be written.
    """
    return RowWriter(Path(path), keep=keep)

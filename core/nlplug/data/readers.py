"""Reads the rows of data files one by one, and reports how the file was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nlplug.data.conll import conll_rows
from nlplug.data.excel import excel_rows
from nlplug.data.formats import CONLL, DataFile
from nlplug.data.json_rows import json_rows
from nlplug.data.lines import LineReader, check_decoded, too_large
from nlplug.data.report import ReadReport, SkippedRow
from nlplug.data.rows import DataRow
from nlplug.data.table import header_names, table_rows
from nlplug.data.unusable import Unusable
from nlplug.errors import DataError, InputError
from nlplug.extras import require


class RowReader(Iterator[DataRow]):
    """The rows of a file, read as they are asked for; see `read_rows`.

    Attributes:
        file: The file; ``file.report`` says what was understood so far.
    """

    def __init__(self, file: DataFile, columns: Sequence[str], limit: int | None) -> None:
        self.file = file
        self._columns = columns
        self._limit = limit
        self._rows = self._read()

    def __iter__(self) -> RowReader:
        return self

    def __next__(self) -> DataRow:
        return next(self._rows)

    def reject(self, row: DataRow, error: InputError) -> None:
        """Leave a row out that its user cannot take.

        Raises:
            InputError: The file's settings say that such a row is an error.
        """
        self.file.report.rows -= 1
        self._skip(row.line, row.values, error)

    def _skip(self, line: int, values: dict[str, object], error: InputError) -> None:
        if self.file.on_skip is None:
            raise error
        reason = error.message.removeprefix(f"{self.file.path}:{line}: ")
        if reason.startswith(f"{self.file.path}:"):  # another line of the same row
            reason = f"line {reason.removeprefix(f'{self.file.path}:')}"
        self.file.report.skip(reason)
        self.file.on_skip(SkippedRow(self.file.path, line, reason, values))

    def _read(self) -> Iterator[DataRow]:
        file = self.file
        file.report = ReadReport(file.path)
        if file.stream is None:
            _check_path(file.path)
        if self._limit == 0:
            return
        for found in _READERS[file.kind](file):
            if isinstance(found, Unusable):
                self._skip(found.line, found.values, found.error)
                continue
            try:
                _check_columns(found, self._columns)
            except DataError as error:
                self._skip(found.line, found.values, error)
                continue
            file.report.add(found.values, file.label_column)
            yield found
            if self._limit is not None and file.report.rows >= self._limit:
                return


def read_rows(
    source: str | Path | DataFile,
    *,
    columns: Sequence[str] = (),
    limit: int | None = None,
) -> RowReader:
    """The rows of a file, read as they are asked for.

    Args:
        source: The file; its name says the format. CSV and TSV have a header line; plain text gives
            one row ``{"text": line}`` per line that is not blank; CoNLL files give a row
            ``{"tokens": [...], "tags": [...]}`` per sentence (see `nlplug.data.conll`); a SQuAD
            file is a .json with a row per question (see `nlplug.data.squad`). A `DataFile` says
            more: format, delimiter, encoding, limits, and what becomes of rows that are wrong.
        columns: Columns that every row must have, with a value that is not null.
        limit: At most this many rows.

    Raises:
        DataError: While reading: no such file, an unknown format, or a row that cannot be read;
            names file and line.
        MissingExtra: While reading: Parquet without pyarrow, or Excel without openpyxl.
    """
    file = source if isinstance(source, DataFile) else DataFile(Path(source))
    return RowReader(file, columns, limit)


def _check_path(path: Path) -> None:
    """Refuse what is no file that can be opened."""
    what, hint = "no such file", "Check the path of the data file."
    try:
        if path.is_file():
            return
        if path.is_dir():
            what = "is a folder, not a file"
        elif path.exists():
            what, hint = "is a pipe or a device, not a file", "Save its content in a file."
    except OSError as error:  # a name that is too long, or a folder without permission
        what = f"cannot be read ({error.strerror or error})"
    raise DataError(f"{path}: {what}.", hint=hint)


def _check_columns(row: DataRow, columns: Sequence[str]) -> None:
    for name in columns:
        if row.values.get(name) is None:
            state = "is empty" if name in row.values else "is missing"
            raise DataError(
                f"{row.where}: the column {name!r} {state}.",
                hint=f"The row has the columns {', '.join(map(repr, row.values))}.",
            )


def _text(file: DataFile) -> Iterator[DataRow | Unusable]:
    file.report.format = "plain text"
    lines = LineReader(file)
    lines.refuse_json()
    for number, line in lines:
        # Spaces stay: positions in an answer refer to the line, and a prompt may end with one.
        text = line.rstrip("\r\n")
        if text.strip():
            try:
                check_decoded(text, f"{file.path}:{number}")
            except DataError as error:
                yield Unusable(number, {}, error)
                continue
            yield DataRow({"text": text}, file.path, number)


def _parquet(file: DataFile) -> Iterator[DataRow]:
    parquet = require("pyarrow.parquet", "data", purpose="Reading Parquet")
    arrow = require("pyarrow", "data", purpose="Reading Parquet")
    path = file.path
    file.report.format = "Parquet"
    number = size = 0
    try:
        opened = parquet.ParquetFile(path if file.stream is None else file.stream)
        header_names(opened.schema_arrow.names, path, 1)
        for batch in opened.iter_batches(batch_size=1024):
            size += batch.nbytes
            if file.limits.total is not None and size > file.limits.total:
                raise too_large(file)
            for values in batch.to_pylist():
                number += 1
                yield DataRow(values, path, number)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}:{number + 1}: not readable as Parquet ({str(error).splitlines()[0]}).",
            hint="Write the file again, for example with pandas.DataFrame.to_parquet.",
        ) from None


_READERS: dict[str, Callable[[DataFile], Iterator[DataRow | Unusable]]] = {
    ".csv": table_rows,
    ".tsv": table_rows,
    ".json": json_rows,
    ".jsonl": json_rows,
    ".txt": _text,
    ".parquet": _parquet,
    ".xlsx": excel_rows,
    **dict.fromkeys(CONLL, conll_rows),
}

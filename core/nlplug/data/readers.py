"""Rows of CSV, TSV, JSON Lines, JSON, CoNLL, plain text (all also .gz) and Parquet, one by one."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nlplug.data.conll import sentences
from nlplug.data.squad import squad_rows
from nlplug.errors import DataError
from nlplug.extras import require

CONLL = (".conll", ".bio", ".iob", ".iob2")
FORMATS = (".csv", ".tsv", ".jsonl", ".json", *CONLL, ".txt", ".parquet")
_GZIP = ".gz"
# A field of a CSV file may be a whole document; the module's own limit is 128 KiB.
_FIELD_LIMIT = 1 << 27


@dataclass(slots=True)
class DataRow:
    """One row.

    Attributes:
        values: Column name → value.
        source: The file.
        line: 1-based line of the file (row number for Parquet, JSON arrays and SQuAD files).
    """

    values: dict[str, Any]
    source: Path
    line: int

    @property
    def where(self) -> str:
        """``file:line``, as errors name it."""
        return f"{self.source}:{self.line}"

    def text(
        self, column: str, *, hint: str = "name yours by --text-column.", place: str = ""
    ) -> str:
        """The text in a column.

        Args:
            column: Name of the column.
            hint: What the hint of the error says after the names of the row's columns.
            place: What the error begins with; default: ``file:line``.

        Raises:
            DataError: The column is missing, blank, or holds no text; names file and line.
        """
        value = self.values.get(column)
        if isinstance(value, str) and value.strip():
            return value
        state = "is missing" if column not in self.values else f"is {value!r}, not a text"
        raise DataError(
            f"{place or self.where}: the column {column!r} {state}.",
            hint=f"The row has {', '.join(map(repr, self.values))}; {hint}",
        )


def data_format(path: Path) -> str:
    """The format of a file by its name, without ``.gz``: one of ``FORMATS``.

    Raises:
        DataError: The name ends in none of them.
    """
    name = path.name.lower().removesuffix(_GZIP)
    for suffix in FORMATS:
        if name.endswith(suffix):
            return suffix
    raise DataError(
        f"{path}: no reader for files of this name.",
        hint=f"Use one of {', '.join(FORMATS)} (all but .parquet also with .gz).",
    )


def read_rows(
    path: str | Path,
    *,
    columns: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[DataRow]:
    """The rows of a file, read as they are asked for.

    Args:
        path: The file; its name says the format. CSV and TSV have a header line; plain text gives
            one row ``{"text": line}`` a line that is not blank; CoNLL files give a row
            ``{"tokens": [...], "tags": [...]}`` a sentence (see `nlplug.data.conll`); a SQuAD
            file is a .json with a row a question (see `nlplug.data.squad`).
        columns: Columns that every row must have, with a value that is not null.
        limit: At most this many rows.

    Raises:
        DataError: No such file, an unknown format, or a row that cannot be read; names file and
            line.
        MissingExtra: Parquet without pyarrow.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise DataError(f"{path}: {what}.", hint="Check the path of the data file.")
    kind = data_format(path)
    if kind == ".parquet":
        rows = _parquet(path)
    elif kind in (".csv", ".tsv"):
        rows = _table(path, "\t" if kind == ".tsv" else ",")
    elif kind in CONLL:
        rows = _conll(path)
    else:
        rows = {".jsonl": _json_lines, ".json": _json, ".txt": _text}[kind](path)
    for count, row in enumerate(rows):
        if limit is not None and count >= limit:
            return
        _check_columns(row, columns)
        yield row


def _check_columns(row: DataRow, columns: Iterable[str]) -> None:
    for name in columns:
        if row.values.get(name) is None:
            state = "is empty" if name in row.values else "is missing"
            raise DataError(
                f"{row.where}: the column {name!r} {state}.",
                hint=f"The row has the columns {', '.join(map(repr, row.values))}.",
            )


def _open(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(_GZIP):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines with their line ends; a byte-order mark is dropped."""
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: not UTF-8 (byte {error.object[error.start]:#04x}).",
            hint="Save the file as UTF-8.",
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}:{number + 1}: the gzip stream is damaged or cut off ({error}).",
            hint="Compress or copy the file again.",
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _json_lines(path: Path) -> Iterator[DataRow]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}:{number}: not JSON ({error.msg} at column {error.colno}).",
                hint="Each line of a .jsonl file is one JSON object.",
            ) from None
        yield _object(values, path, number)


def _json(path: Path) -> Iterator[DataRow]:
    text = "".join(line for _, line in _lines(path))
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}).",
            hint="A .json file holds one array of objects; one object a line is .jsonl.",
        ) from None
    if isinstance(values, dict) and isinstance(values.get("data"), list):
        values = list(squad_rows(values["data"], path))
    if not isinstance(values, list):
        raise DataError(
            f"{path}:1: holds a JSON {type(values).__name__}, not an array of objects.",
            hint="A .json file holds one array of objects; one object a line is .jsonl.",
        )
    for number, value in enumerate(values, start=1):
        yield _object(value, path, number)


def _object(values: Any, path: Path, number: int) -> DataRow:
    if not isinstance(values, dict):
        raise DataError(
            f"{path}:{number}: a JSON {type(values).__name__}, not an object.",
            hint='A row looks like {"text": "…", "label": "…"}.',
        )
    return DataRow(values, path, number)


def _text(path: Path) -> Iterator[DataRow]:
    for number, line in _lines(path):
        if text := line.strip():
            yield DataRow({"text": text}, path, number)


def _conll(path: Path) -> Iterator[DataRow]:
    for number, tokens, tags in sentences(_lines(path), path):
        yield DataRow({"tokens": tokens, "tags": tags}, path, number)


def _table(path: Path, delimiter: str) -> Iterator[DataRow]:
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    start = 1  # a quoted field may hold line ends: the row is named by its first line
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{start}: not a row of the table ({error}).",
                hint='A field with a quote in it is written "like ""this""".',
            ) from None
        if fields is None:
            break
        number, start = start, reader.line_num + 1
        if not fields:
            continue
        if header is None:
            header = _header(fields, path, number)
            continue
        if len(fields) != len(header):
            raise DataError(
                f"{path}:{number}: {len(fields)} fields where the header has {len(header)}.",
                hint=f"The header is {', '.join(map(repr, header))}.",
            )
        yield DataRow(dict(zip(header, fields, strict=True)), path, number)
    if header is None:
        raise DataError(f"{path}:1: the file is empty.", hint="The first line names the columns.")


def _header(fields: list[str], path: Path, number: int) -> list[str]:
    names = [field.strip() for field in fields]
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise DataError(
            f"{path}:{number}: the header has {sorted(double)[0]!r} more than once.",
            hint="The first line names the columns, each once.",
        )
    return names


def _parquet(path: Path) -> Iterator[DataRow]:
    parquet = require("pyarrow.parquet", "data", purpose="Reading Parquet")
    arrow = require("pyarrow", "data", purpose="Reading Parquet")
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024):
            for values in batch.to_pylist():
                number += 1
                yield DataRow(values, path, number)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}:{number + 1}: not readable as Parquet ({str(error).splitlines()[0]}).",
            hint="Write the file again, for example with pandas.DataFrame.to_parquet.",
        ) from None

"""Rows of CSV and TSV files, with the delimiter and the quoting that the file keeps to."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlplug.data.formats import DataFile
from nlplug.data.lines import LineReader, check_decoded
from nlplug.data.report import ReadReport
from nlplug.data.rows import DataRow
from nlplug.data.tags import TAG_COLUMN, TOKEN_COLUMN
from nlplug.data.unusable import Unusable
from nlplug.errors import DataError

# A field of a CSV file may be a whole document; the module's own limit is 128 KiB.
_FIELD_LIMIT = 1 << 27
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\t": "tabs", ",": "commas"}
_SAMPLE_ROWS = 200
_LONGEST_FIELD = 1000
"""Lines that a quoted field of a table with tabs may have."""
_MOST_AGAIN = 20
"""Malformed records of a table of which all lines but the first are read again."""
_OPEN = "unexpected end of data"
"""What the csv module says of a quoted field that does not end."""
_RETURN = "new-line character seen in unquoted field"
# A first line with which Excel is told the delimiter.
_DECLARED = re.compile(r'"?(?i:sep)=([^\w\s"]|\t)"?')
# Of a table with a token in each row, in small letters.
_SENTENCE = re.compile(r"sentence( #|[_ ]id|_idx)?|sent_id")


def table_rows(file: DataFile) -> Iterator[DataRow | Unusable]:
    """The rows of a table whose first line names the columns.

    If each row is a token and a column numbers the sentences, a row of the result is a sentence. A
    line ``sep=;`` before the header names the delimiter, as in Excel.

    Raises:
        DataError: No header, or two delimiters are equally plausible.
    """
    lines = LineReader(file)
    lines.refuse_json()
    kind = file.kind
    declared = _DECLARED.fullmatch(lines.sample[0]) if lines.sample else None
    delimiter = (
        file.delimiter
        or (declared and declared[1])
        or _delimiter(lines.sample, "\t" if kind == ".tsv" else ",", file)
    )
    file.report.format = f"{kind[1:].upper()} with {_NAMES.get(delimiter, repr(delimiter))}"
    csv.field_size_limit(_FIELD_LIMIT)
    numbered = iter(lines)
    if declared:
        next(numbered)
    if delimiter == "\t":
        records = _tab_records(numbered, file.path)
    else:
        records = _quoted_records(numbered, delimiter, file.path, before=1 if declared else 0)
    header: list[str] | None = None
    sentences: _Sentences | None = None
    for number, fields in records:
        if isinstance(fields, DataError):
            if header is None:
                raise fields
            yield Unusable(number, {}, fields)
            continue
        if header is None:
            if any(map(str.strip, fields)):
                header = header_names(fields, file.path, number)
                sentences = _Sentences.of(header, file)
            continue
        if is_left_out(header, fields, file):
            continue
        found = table_row(header, fields, file.path, number)
        if sentences is None or isinstance(found, Unusable):
            yield found
        elif (row := sentences.add(found)) is not None:
            yield row
    if header is None:
        raise DataError(
            f"{file.path}:1: the file is empty.", hint="The first line names the columns."
        )
    if sentences is not None and (row := sentences.end()) is not None:
        yield row


Record = tuple[int, "list[str] | DataError"]
"""Line of a record, and its fields or the error."""


def _quoted_records(
    lines: Iterator[tuple[int, str]], delimiter: str, path: Path, *, before: int = 0
) -> Iterator[Record]:
    """Records with quoting as in RFC 4180, after so many lines; blank lines are left out."""
    taken: list[str] = []  # the lines of the record that is being read
    again: deque[str] = deque()  # lines of a malformed record, read again by themselves

    def texts() -> Iterator[str]:
        while True:
            line = again.popleft() if again else next(lines, (0, None))[1]
            if line is None:
                return
            taken.append(line)
            yield line

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    start = before + 1  # a quoted field may hold line ends: the row is named by its first line
    left = _MOST_AGAIN
    while True:
        taken.clear()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield start, _malformed(path, start, str(error))
            left -= 1
            if left > 0 and len(taken) > 1:  # a quote that does not end may have taken in rows
                again.extendleft(reversed(taken[1:]))
                reader = csv.reader(texts(), delimiter=delimiter, strict=True)
                del taken[1:]
            start += len(taken)
            continue
        if fields is None:
            return
        number, start = start, start + len(taken)
        if fields:
            yield number, fields


def _tab_records(lines: Iterator[tuple[int, str]], path: Path) -> Iterator[Record]:
    """Records of a table with tabs, in which a quote is a quote unless it is well formed.

    A cell is quoted where it is one whole quoted field of CSV. It may continue in further lines
    where its first line has fewer cells than the header, or the lines after it do; where each of
    them is a row by itself, the quotes are part of the text.
    """
    width = 0
    ahead: deque[tuple[int, str]] = deque()
    while True:
        number, line = ahead.popleft() if ahead else next(lines, (0, ""))
        if not number:
            return
        bare = line.rstrip("\r\n")
        if not bare:
            continue
        fields = bare.split("\t")
        if '"' in bare:
            found, is_open = _unquoted(bare)
            if is_open:
                found, taken = _continued(line, len(fields) == width > 1, width, lines, ahead)
                for _ in range(taken):
                    ahead.popleft()
            fields = found or fields
        width = width or len(fields)
        yield number, fields


def _continued(
    line: str,
    complete: bool,
    width: int,
    lines: Iterator[tuple[int, str]],
    ahead: deque[tuple[int, str]],
) -> tuple[list[str] | None, int]:
    """The fields of a record whose quoted field continues in further lines, and their number.

    None where the quote is no quotation mark of a table. Lines read ahead are left in ``ahead``.
    """
    text = line
    for taken in range(1, _LONGEST_FIELD + 1):
        if len(ahead) < taken and (following := next(lines, None)) is not None:
            ahead.append(following)
        if len(ahead) < taken:
            break
        more = ahead[taken - 1][1]
        text += more
        complete = complete and len(more.rstrip("\r\n").split("\t")) == width
        if '"' not in more:
            continue
        fields, is_open = _unquoted(text.rstrip("\r\n"))
        if fields is not None and not complete and len(fields) == (width or len(fields)):
            return fields, taken
        if not is_open:
            break
    return None, 0


def _unquoted(text: str) -> tuple[list[str] | None, bool]:
    """The fields of one record (None where its quotes are not those of a table), and whether a
    quoted field is still open at the end."""
    try:
        lines = io.StringIO(text, newline="\n")
        return next(csv.reader(lines, delimiter="\t", strict=True)), False
    except csv.Error as error:
        return None, _OPEN in str(error)


def _malformed(path: Path, number: int, reason: str) -> DataError:
    if _RETURN in reason:
        return DataError(
            f"{path}:{number}: a carriage return is within a line.",
            hint="End all lines in the same way, or put the field with it in quotes.",
        )
    return DataError(
        f"{path}:{number}: not a row of the table ({reason}).",
        hint='A field with a quote in it is written "like ""this""".',
    )


def is_left_out(header: list[str], fields: list[str], file: DataFile) -> bool:
    """Whether a row is the header again, as where several files were joined, or has no value.

    Spreadsheet programs save rows of delimiters alone where cells were cleared. In a table of one
    column both are rows: a text may be any word, and an empty one is refused by name.
    """
    values = [field.strip() for field in fields]
    if len(header) == 1 or (values != header and any(values)):
        return False
    what = "that repeat the header" if values == header else "without a value"
    file.report.note(f"lines {what} are left out")
    return True


def table_row(header: list[str], fields: list[str], path: Path, number: int) -> DataRow | Unusable:
    """One row of a table; it has as many fields as the header."""
    values = dict(zip(header, fields, strict=False))
    try:
        check_decoded("\n".join(fields), f"{path}:{number}")
        if len(fields) != len(header):
            raise DataError(
                f"{path}:{number}: {len(fields)} field{'s' * (len(fields) != 1)} where the header "
                f"has {len(header)}.",
                hint=f"The header is {', '.join(map(repr, header))}. A field that holds the "
                "delimiter is quoted; --delimiter names another one.",
            )
    except DataError as error:
        return Unusable(number, values, error)
    return DataRow(values, path, number)


def header_names(fields: list[str], path: Path, number: int) -> list[str]:
    """The names of the columns.

    Raises:
        DataError: A name occurs twice.
    """
    names = [field.strip() for field in fields]
    check_decoded("\n".join(names), f"{path}:{number}")
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise DataError(
            f"{path}:{number}: the header has {sorted(double)[0]!r} more than once.",
            hint="The first line names the columns, each once.",
        )
    return names


def _delimiter(sample: list[str], usual: str, file: DataFile) -> str:
    """The delimiter: the usual one of the format, unless exactly one other delimiter fits the file.

    Raises:
        DataError: The usual one does not fit, and several others do.
    """
    fitting = [mark for mark in (usual, *_DELIMITERS) if _fits(sample, mark)]
    if not fitting or fitting[0] == usual:
        return usual
    if len(set(fitting)) > 1:
        raise DataError(
            f"{file.path}: the delimiter may be {' or '.join(map(repr, fitting))}.",
            hint=f"Give one of them, as in --delimiter {fitting[0]!r}.",
        )
    return fitting[0]


def _fits(sample: list[str], delimiter: str) -> bool:
    """Whether the header has several columns, and all other rows of a sample have as many."""
    if delimiter not in next((line for line in sample if line.strip()), ""):
        return False
    pairs = iter(list(enumerate((f"{line}\n" for line in sample), start=1)))
    if delimiter == "\t":
        records = _tab_records(pairs, Path())
    else:
        records = _quoted_records(pairs, delimiter, Path())
    widths: list[int] = []
    for _, fields in records:
        if isinstance(fields, DataError):
            # The end of the sample may stand within a quoted field.
            if _OPEN in fields.message:
                break
            return False
        if widths or any(map(str.strip, fields)):
            widths.append(len(fields))
        if len(widths) > _SAMPLE_ROWS:
            break
    return bool(widths) and widths[0] > 1 and set(widths) == {widths[0]}


class _Sentences:
    """Gathers rows of one token each into sentences."""

    def __init__(self, token: str, tag: str, sentence: str, report: ReadReport) -> None:
        self._columns = (token, tag, sentence)
        self._tokens: list[str] = []
        self._tags: list[str] = []
        self._number = ""
        self._first: DataRow | None = None
        report.unit = "sentences"
        report.note(f"one token per row, in sentences by column {sentence!r}")

    @classmethod
    def of(cls, header: list[str], file: DataFile) -> _Sentences | None:
        """For a table with columns of tokens, tags and sentence numbers; else None."""
        found = [
            next((name for name in header if names.fullmatch(name.lower())), None)
            for names in (TOKEN_COLUMN, TAG_COLUMN, _SENTENCE)
        ]
        token, tag, sentence = found
        if token is None or tag is None or sentence is None:
            return None
        return cls(token, tag, sentence, file.report)

    def add(self, row: DataRow) -> DataRow | None:
        """Take a row in; the sentence before it, where it begins another one."""
        token, tag, sentence = (str(row.values[name]) for name in self._columns)
        done = None
        if sentence.strip() and sentence != self._number:
            done = self.end()
            self._number = sentence
        self._first = self._first or row
        self._tokens.append(token)
        self._tags.append(tag)
        return done

    def end(self) -> DataRow | None:
        """The sentence that is being gathered, if there is one."""
        if self._first is None:
            return None
        values: dict[str, Any] = {"tokens": self._tokens, "tags": self._tags}
        row = DataRow(values, self._first.source, self._first.line)
        self._tokens, self._tags, self._first = [], [], None
        return row

"""The formats of data files, and the settings of a reader."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nlplug.data.packed import ARCHIVES, PACKED, content_name, packing, unpacked_name
from nlplug.data.report import ReadReport, SkippedRow
from nlplug.errors import DataError, OptionError

CONLL = (".conll", ".conllu", ".bio", ".iob", ".iob2")
FORMATS = (".csv", ".tsv", ".jsonl", ".json", *CONLL, ".txt", ".parquet", ".xlsx")
FORMAT_NAMES = ("csv", "tsv", "jsonl", "json", "conll", "txt", "parquet", "xlsx")
"""The values of ``--format``."""
_BINARY = (".parquet", ".xlsx")
# Other names of the same formats.
_NAMED = {".ndjson": ".jsonl", ".jsonlines": ".jsonl"}


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits for files of unknown origin.

    Attributes:
        line: Longest line, in characters. Lines of any file have this limit, as each is held in
            memory whole.
        total: Most bytes that a file may hold after decompression; None for no limit.
    """

    line: int = 1 << 27
    total: int | None = None


@dataclass(slots=True)
class DataFile:
    """A data file, how to read it, and what was understood of it.

    Attributes:
        path: The file. With ``stream`` the name that messages call it.
        format: One of ``FORMAT_NAMES``; None: the file's name says it.
        delimiter: Character between the columns of a table; None: detected.
        encoding: Encoding of the text; None: detected.
        label_column: Column whose labels the report counts; None: the first of the usual ones.
        limits: Bounds on size.
        on_skip: Called with each row that cannot be used, which is then left out; None: such a row
            is an error.
        stream: Open binary file that is read instead of ``path``, such as standard input.
        report: What was understood; filled while the rows are read.
    """

    path: Path
    format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    label_column: str | None = None
    limits: ReadLimits = field(default_factory=ReadLimits)
    on_skip: Callable[[SkippedRow], None] | None = None
    stream: BinaryIO | None = None
    report: ReadReport = field(init=False)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            OptionError: An unknown format or encoding, or a delimiter of several characters.
        """
        self.report = ReadReport(self.path)
        if self.format is not None and self.format not in FORMAT_NAMES:
            raise OptionError(
                f"The format {self.format!r} is unknown.",
                hint=f"The formats are {', '.join(FORMAT_NAMES)}.",
            )
        if self.delimiter is not None:
            self.delimiter = {"\\t": "\t", "tab": "\t"}.get(self.delimiter, self.delimiter)
            if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
                raise OptionError(
                    f"The delimiter {self.delimiter!r} is not a single character.",
                    hint="Give one character such as ';' or '|', or the word tab.",
                )
        if self.encoding is not None:
            try:
                self.encoding = codecs.lookup(self.encoding).name
                "".encode(self.encoding)
            except (LookupError, ValueError):
                raise OptionError(
                    f"The encoding {self.encoding!r} is unknown.",
                    hint="Give a name such as utf-8, cp1252, utf-16 or gb18030.",
                ) from None

    @property
    def kind(self) -> str:
        """The format as a suffix, one of ``FORMATS``.

        Raises:
            DataError: Neither the format nor the name of the file says it, or it is a workbook or a
                Parquet file that is compressed.
        """
        content = self.path if self.stream is not None else content_name(self.path)
        kind = f".{self.format}" if self.format else data_format(content)
        if kind in _BINARY and (content != self.path or packing(self.path)):
            raise DataError(
                f"{self.path}: {kind} files are not read from compressed files.",
                hint="Unpack it; the format is compressed by itself.",
            )
        return kind


def is_data_name(path: Path) -> bool:
    """Whether a file of this name is a data file: `data_format` knows it, or it is an archive."""
    return path.name.lower().endswith((*FORMATS, *_NAMED, *PACKED, *ARCHIVES))


def data_format(path: Path) -> str:
    """The format of a file by its name, without ``.gz`` and the like: one of ``FORMATS``.

    Raises:
        DataError: The name ends in none of them.
    """
    name = unpacked_name(path)
    for suffix in (*FORMATS, *_NAMED):
        if name.endswith(suffix):
            return _NAMED.get(suffix, suffix)
    raise DataError(
        f"{path}: files with such a name cannot be read.",
        hint=f"Use one of {', '.join(FORMATS)} (all but .parquet and .xlsx also with "
        f"{', '.join(PACKED)}), or name the format by --format.",
    )

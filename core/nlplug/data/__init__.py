"""Reading and writing rows of data files, without heavy dependencies."""

from __future__ import annotations

from nlplug.data.formats import DataFile, ReadLimits
from nlplug.data.readers import RowReader, read_rows
from nlplug.data.report import ReadReport, SkippedRow
from nlplug.data.rows import DataRow
from nlplug.data.writers import RowWriter, open_writer

__all__ = [
    "DataFile",
    "DataRow",
    "ReadLimits",
    "ReadReport",
    "RowReader",
    "RowWriter",
    "SkippedRow",
    "open_writer",
    "read_rows",
]

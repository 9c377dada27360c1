"""Reading and writing rows of data files, without heavy dependencies."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile, ReadLimits
    from nlplug.data.readers import RowReader, read_rows
    from nlplug.data.report import ReadReport, SkippedRow
    from nlplug.data.rows import DataRow
    from nlplug.data.writers import RowWriter, open_writer

# Imported on first use: whoever answers a text imports single modules of this package, and reads
# and writes no file.
_EXPORTS = {
    "DataFile": "nlplug.data.formats",
    "DataRow": "nlplug.data.rows",
    "ReadLimits": "nlplug.data.formats",
    "ReadReport": "nlplug.data.report",
    "RowReader": "nlplug.data.readers",
    "RowWriter": "nlplug.data.writers",
    "SkippedRow": "nlplug.data.report",
    "open_writer": "nlplug.data.writers",
    "read_rows": "nlplug.data.readers",
}

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


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value

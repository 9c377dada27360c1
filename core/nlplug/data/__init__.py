"""Reading and writing rows of data files, without heavy dependencies."""

from __future__ import annotations

from nlplug.data.readers import DataRow, read_rows
from nlplug.data.writers import RowWriter, open_writer

__all__ = ["DataRow", "RowWriter", "open_writer", "read_rows"]

"""What a compressed data file holds (.gz, .bz2, .xz, .lzma), up to a limit."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from nlplug.errors import DataError

PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".lzma": "lzma"}
"""Suffix of a compressed file → module of the standard library that reads it."""
ARCHIVES = {
    ".zst": "zstd -d",
    ".zip": "unzip",
    ".7z": "7z x",
    ".rar": "unrar x",
    ".tar": "tar -xf",
    ".tgz": "tar -xf",
    ".lz4": "lz4 -d",
    ".br": "brotli -d",
}
"""Suffix of another kind of compressed file → the command that unpacks it."""


def unpacked_name(path: Path) -> str:
    """The name of a file in lower case, without the suffix of a compression.

    Raises:
        DataError: It is an archive, or compressed in a way that is not read.
    """
    name = path.name.lower()
    stem, dot, suffix = name.rpartition(".")
    if command := ARCHIVES.get(dot + suffix):
        raise DataError(
            f"{path}: {dot}{suffix} files are not read.",
            hint=f"Unpack it ({command} {path.name}) and give the file in it. Compressed files "
            f"that are read: {', '.join(PACKED)}.",
        )
    return stem if packing(path) else name


def packing(path: Path) -> str | None:
    """The suffix of ``PACKED`` with which the name of a file ends, or None."""
    suffix = path.suffix.lower()
    return suffix if suffix in PACKED else None


def is_damage(error: Exception) -> bool:
    """Whether this is how the standard library reports a damaged compressed file."""
    if isinstance(error, OSError):  # the decoders raise it without a number, as BadGzipFile is
        return error.errno is None
    return isinstance(error, EOFError | zlib.error) or type(error).__name__ == "LZMAError"


class Unpacked(io.RawIOBase):
    """The content of a compressed file.

    What comes before a damaged place is given out before the error is raised.

    Args:
        path: The file.
        check: Called with the number of bytes so far; raises if they are too many.

    Raises:
        DataError: This Python was built without the module that reads it.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, check: Callable[[int], object]) -> None:
        name = PACKED[path.suffix.lower()]
        try:
            module = import_module(name)
        except ImportError:
            raise DataError(
                f"{path}: this Python was built without {name}.", hint="Unpack the file."
            ) from None
        self._packed: Any = module.open(path, "rb")
        self._check = check
        self._size = 0
        self._error: Exception | None = None

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer; the number of bytes."""
        filled = 0
        while filled < len(buffer) and self._error is None:
            try:
                part = self._packed.read1(len(buffer) - filled)
            except Exception as error:
                if not is_damage(error):
                    raise
                self._error = error
                break
            if not part:
                break
            buffer[filled : filled + len(part)] = part
            filled += len(part)
        if self._error is not None and not filled:
            raise self._error
        self._size += filled
        self._check(self._size)
        return filled

    def close(self) -> None:
        """Close the file."""
        self._packed.close()
        super().close()

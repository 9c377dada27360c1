"""What a compressed data file holds (.gz, .bz2, .xz, .lzma, .zip), up to a limit."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from nlplug.errors import DataError

PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma", ".lzma": "lzma", ".zip": "zipfile"}
"""Suffix of a compressed file → module of the standard library that reads it."""
ARCHIVES = {
    ".zst": "zstd -d",
    ".7z": "7z x",
    ".rar": "unrar x",
    ".tar": "tar -xf",
    ".tgz": "tar -xf",
    ".lz4": "lz4 -d",
    ".br": "brotli -d",
}
"""Suffix of another kind of compressed file → the command that unpacks it."""

_ZIP = ".zip"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED = 0x1
_SHOWN = 3


def unpacked_name(path: Path) -> str:
    """The name of a file in lower case, without the suffix of a compression.

    Raises:
        DataError: It is an archive, or compressed in a way that is not read.
    """
    name = path.name.lower()
    stem, dot, suffix = name.rpartition(".")
    if command := ARCHIVES.get(dot + suffix):
        raise DataError(
            f"{path}: {dot}{suffix} files cannot be read.",
            hint=f"Unpack it ({command} {path.name}) and give the file in it. Compressed files "
            f"that can be read: {', '.join(PACKED)}.",
        )
    return stem if packing(path) else name


def packing(path: Path) -> str | None:
    """The suffix of ``PACKED`` with which the name of a file ends, or None."""
    suffix = path.suffix.lower()
    return suffix if suffix in PACKED else None


def content_name(path: Path) -> Path:
    """The name of what a data file holds: of an archive that of the only file in it.

    Raises:
        DataError: See `_only_member`.
    """
    if packing(path) != _ZIP:
        return path
    with _archive(path) as archive:
        return Path(f"{path}/{_only_member(path, archive).filename}")


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"{path}: this is not a zip archive, or it is damaged or cut off ({error}).",
            hint="Compress or copy the file again.",
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The only file in an archive, apart from those that systems add.

    Raises:
        DataError: There is none or several, or it can only be read by another program.
    """
    files = [
        file
        for file in archive.infolist()
        if not (file.is_dir() or file.filename.startswith("__MACOSX/"))
        and not PurePosixPath(file.filename).name.startswith(".")
    ]
    hint = f"Unpack it (unzip {path.name}) and give one file."
    if len(files) != 1:
        names = ", ".join(repr(file.filename) for file in files[:_SHOWN])
        more = ", …" if len(files) > _SHOWN else ""
        held = f"{len(files)} files: {names}{more}" if files else "no file"
        raise DataError(
            f"{path}: the archive holds {held}.",
            hint=f"{hint} An archive is read if it holds exactly one.",
        )
    (file,) = files
    if file.flag_bits & _ENCRYPTED:
        raise DataError(f"{path}: {file.filename!r} has a password.", hint=hint)
    if file.compress_type not in _METHODS:
        raise DataError(
            f"{path}: {file.filename!r} is compressed with an unsupported method.", hint=hint
        )
    return file


def is_damage(error: Exception) -> bool:
    """Whether this is how the standard library reports a damaged compressed file."""
    if isinstance(error, OSError):  # the decoders raise it without a number, as BadGzipFile is
        return error.errno is None
    damage = EOFError | zlib.error | zipfile.BadZipFile
    return isinstance(error, damage) or type(error).__name__ == "LZMAError"


class Unpacked(io.RawIOBase):
    """The content of a compressed file.

    What comes before a damaged place is given out before the error is raised.

    Args:
        path: The file.
        check: Called with the number of bytes so far; raises if they are too many.

    Raises:
        DataError: This Python was built without the module that reads it, or it is an archive of
            several files.
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
        self._packed: Any
        if packing(path) == _ZIP:
            with _archive(path) as archive:  # its file stays open for the member
                self._packed = archive.open(_only_member(path, archive))
        else:
            self._packed = module.open(path, "rb")
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

"""Zip and tar files of packages: the same content gives the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from nlplug.errors import OptionError

Content = Path | bytes
_FIRST = 315_532_800
"""1 January 1980, the earliest time that a zip file can hold."""
_LAST = 4_354_819_198
"""31 December 2107, the latest one."""


def time_of_files() -> int:
    """Seconds since 1970 that all files of an archive get: ``SOURCE_DATE_EPOCH``, else 1980.

    Raises:
        OptionError: The variable is not a whole number that a zip file can hold.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    if not stated:
        return _FIRST
    if not stated.isdecimal() or int(stated) > _LAST:
        raise OptionError(
            f"SOURCE_DATE_EPOCH is {stated!r}, which is not a number of seconds since 1970.",
            hint="Unset it, or set it to a time until 2107, such as $(git log -1 --format=%ct).",
        )
    return max(int(stated), _FIRST)


def write_tar(path: Path, files: Mapping[str, Content]) -> None:
    """Write a ``.tar.gz`` file.

    Raises:
        OptionError: As for `time_of_files`.
    """
    time = time_of_files()
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mtime = time
            entry.mode = 0o644
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.size = content.stat().st_size
                with content.open("rb") as source:
                    archive.addfile(entry, source)


def write_wheel(path: Path, files: Mapping[str, Content], *, record: str) -> None:
    """Write a ``.whl`` file with the list of its digests.

    Args:
        path: The file.
        files: Content by path.
        record: Path of the list within the wheel.

    Raises:
        OptionError: As for `time_of_files`.
    """
    time = datetime.fromtimestamp(time_of_files(), UTC).timetuple()[:6]
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            digest, size = _add(archive, name, content, time)
            lines.append(f"{name},sha256={digest},{size}\n")
        lines.append(f"{record},,\n")
        _add(archive, record, "".join(lines).encode(), time)


def _add(
    archive: zipfile.ZipFile,
    name: str,
    content: Content,
    time: tuple[int, int, int, int, int, int],
) -> tuple[str, int]:
    entry = zipfile.ZipInfo(name, date_time=time)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    entry.file_size = size
    digest = hashlib.sha256()
    with archive.open(entry, "w") as target:
        if isinstance(content, bytes):
            digest.update(content)
            target.write(content)
        else:
            with content.open("rb") as source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    target.write(block)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(), size

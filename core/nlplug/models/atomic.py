"""What the file system offers for all-or-nothing writes: locks, flushes, exchange of folders."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nlplug.models.verify import files_of

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS


def lock(path: Path) -> IO[str]:
    """Create ``path`` and hold a lock on it until the file is closed or the process dies."""
    file = path.open("w", encoding="utf-8")
    _flock(file)
    return file


def try_lock(*paths: Path) -> IO[str] | None:
    """Lock the first of ``paths`` that exists; None when none does or another process holds it."""
    for path in paths:
        try:
            file = path.open("r+", encoding="utf-8")
        except OSError:
            continue
        if _flock(file):
            return file
        file.close()
        return None
    return None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other thread or process is inside with the same ``path``.

    The file stays, as removing it would let two in at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _flock(file: IO[str]) -> bool:
    if sys.platform == "win32":  # nobody is ever sure there, so that nothing is cleaned up
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write and flush to the disk, without changing which file ``path`` is (locks stay)."""
    with path.open("r+" if path.exists() else "w", encoding="utf-8") as file:
        file.truncate(0)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush every file and folder under ``folder`` to the disk."""
    for path in files_of(folder):
        if path.is_file() and not path.is_symlink():
            _flush(path)
    for root, _, _ in os.walk(folder):
        _flush(Path(root))


def _flush(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(source: Path, target: Path) -> None:
    """Make ``target`` what ``source`` is, in one step where the system can; the old one is removed.

    At every moment ``target`` is the old folder or the new one. Where the system cannot exchange
    two folders there is a moment between two renames; the old one then stands beside it as
    ``.NAME.XXXX.replaced`` and the next writer puts it back.
    """
    if not target.exists():
        os.rename(source, target)
    elif _exchange(source, target):
        _flush(target.parent)
        shutil.rmtree(source, ignore_errors=True)
        return
    else:
        aside = source.with_suffix(".replaced")
        os.rename(target, aside)
        try:
            os.rename(source, target)
        except BaseException:
            os.rename(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    _flush(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically; False where the system or file system cannot."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            done = library.renameat2(
                _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
            )
        elif sys.platform == "darwin":
            done = library.renamex_np(os.fsencode(one), os.fsencode(other), _RENAME_SWAP)
        else:
            return False
    except (OSError, AttributeError, TypeError):
        return False
    return bool(done == 0)

"""What the file system offers for all-or-nothing writes: locks, flushes, exchange of folders."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nlplug.models.verify import files_of

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS


class Staged:
    """A temporary file or folder next to ``target`` that `commit` renames into place.

    Leaving the ``with`` block without a commit removes it, and ``target`` stays as it was. The
    next `Staged` of the same target removes what a killed process left.

    A link stays a link: what it leads to is replaced. A file that is replaced keeps its mode, so
    that what only its owner could read stays so.

    Args:
        target: What to write. Its folder must exist.
        folder: Whether it is a folder.

    Attributes:
        target: The place to write, without links.
        path: The temporary file or folder; it exists and is empty.

    Raises:
        OSError: The folder of ``target`` cannot be written.
    """

    def __init__(self, target: Path, *, folder: bool = False) -> None:
        self.target = Path(os.path.realpath(target))
        self._folder = folder
        clean_up_after_killed(self.target)
        while True:
            self.path = _beside(self.target)
            if folder:
                self.path.mkdir()
            else:
                self.path.touch(exist_ok=False)
                with contextlib.suppress(OSError):
                    shutil.copymode(self.target, self.path)
            # Another process that is cleaning up may take it for left over until it is locked.
            with contextlib.suppress(FileNotFoundError):
                self._lock = _locked(self.path)
                if self.path.exists():
                    break

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def commit(self, target: Path | None = None, *, replace: bool = True) -> None:
        """Flush to the disk and rename into place.

        Args:
            target: The place, if it is another one than ``target``.
            replace: Whether a folder that is there may be replaced.

        Raises:
            OSError: The system refuses, for example because there is no room.
        """
        place = self.target if target is None else target
        if self._folder:
            flush_folder(self.path)
        else:
            _flush(self.path)
        if sys.platform == "win32":  # an open file cannot be renamed there
            self._unlock()
        if self._folder and replace:
            replace_folder(self.path, place)
        else:
            (os.rename if self._folder else os.replace)(self.path, place)
            _flush(place.parent)
        self._unlock()

    def discard(self) -> None:
        """Remove the temporary file or folder, if it is still there."""
        _remove(self.path)
        self._unlock()

    def _unlock(self) -> None:
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)


def clean_up_after_killed(target: Path) -> None:
    """Finish or undo what killed processes had begun with `Staged` and `replace_folder`."""
    restore_replaced(target)
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 8}.new"):
        with contextlib.suppress(OSError):  # another process removes it, or is at work in it
            descriptor = _locked(left)
            if descriptor is not None:
                _remove(left)
                os.close(descriptor)


def restore_replaced(target: Path) -> None:
    """Put back a folder that `replace_folder` had moved aside when its process was killed."""
    for aside in target.parent.glob(f".{glob.escape(target.name)}.*.replaced"):
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(target)


def discard_folder(folder: Path) -> None:
    """Remove a folder: out of the way in one step, then file by file."""
    aside = _beside(folder)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _locked(path: Path) -> int | None:
    """A descriptor that holds a lock on a file or folder; None if it cannot be locked."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY)
    if _flock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def sole_user(folder: Path) -> Iterator[bool]:
    """Hold a folder until the block is left; False if another process, or another block, holds it.

    Where folders cannot be locked, as on Windows and some network drives, each holds it.
    """
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True
    finally:
        os.close(descriptor)


def lock(path: Path, *, wait: bool = False) -> IO[str]:
    """Create ``path`` and hold a lock on it until the file is closed or the process dies.

    Args:
        path: The file.
        wait: Wait until whoever asks `is_locked` at this moment has its answer.
    """
    file = path.open("w", encoding="utf-8")
    _flock(file, wait=wait)
    return file


def is_locked(path: Path) -> bool:
    """Whether a file is there and somebody holds its lock; any number may ask at the same time."""
    try:
        file = path.open("r+", encoding="utf-8")
    except OSError:
        return False
    with file:
        return not _flock(file, shared=True)


def try_lock(path: Path) -> IO[str] | None:
    """Lock a file; None if it does not exist or another process holds it."""
    try:
        file = path.open("r+", encoding="utf-8")
    except OSError:
        return None
    if _flock(file):
        return file
    file.close()
    return None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other thread or process is inside with the same ``path``.

    The file stays, because removing it would let two processes in. Where files cannot be locked, as
    on Windows and some network drives, nobody waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        _flock(file, wait=True)
        yield


def _flock(file: IO[str] | int, *, shared: bool = False, wait: bool = False) -> bool:
    if sys.platform == "win32":  # nobody is ever sure there, so that nothing is cleaned up
        return False
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write and flush to the disk, without changing which file ``path`` is (locks stay)."""
    # The digest of a manifest is that of its bytes, so that line ends are the same on Windows.
    mode = "r+" if path.exists() else "w"
    with path.open(mode, encoding="utf-8", newline="\n") as file:
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
    two folders there is a moment between two renames; the old one is then next to it as
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

"""A disk that is really full: a small file system in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = ".ballast"


class SmallDisk:
    """A disk of a few megabytes.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, size: int) -> None:
        """Fill the disk up to so many bytes."""
        (self.folder / _BALLAST).unlink(missing_ok=True)
        state = os.statvfs(self.folder)
        with (self.folder / _BALLAST).open("wb") as file:
            file.truncate(0)
            file.write(bytes(max(0, state.f_bavail * state.f_bsize - size)))

    def names(self) -> list[str]:
        """What is on it."""
        return sorted(set(os.listdir(self.folder)) - {_BALLAST})


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """A disk mounted at a new folder; without the right to mount one, the test is skipped."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

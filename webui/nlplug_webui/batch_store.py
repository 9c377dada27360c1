"""The results of batches in a folder of the cache, where they outlast the server."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEPT = 50
"""Largest number of results; those that nobody opened for the longest time are deleted first."""
KEPT_SECONDS = 24 * 3600.0
"""Results that nobody opened for this time are deleted."""
KINDS = ("csv", "xlsx", "jsonl", "skipped")
"""The files of a result, in the order of their links."""
_UNFINISHED_SECONDS = 7 * KEPT_SECONDS
_RECORD = "result.json"
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class BatchResult:
    """What a batch left.

    Attributes:
        shown: HTML of the page at its end.
        files: Kind, one of `KINDS` → name of the file in the folder of the batch.
        source: Name of the file that was processed.
        ended: When it ended, in seconds since 1970.
    """

    shown: str
    files: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    ended: float = 0.0


class BatchStore:
    """The results of all batches, also of other servers that share the cache.

    Args:
        folder: Where they are; it is created with the first batch, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, id: str) -> Path:
        """The folder of a batch."""
        return self._folder / id

    def begin(self, id: str) -> None:
        """Create the folder of a new batch.

        Raises:
            OSError: It cannot be created.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder(id).mkdir(mode=0o700)

    def keep(self, id: str, result: BatchResult) -> None:
        """Store what a batch left; its files are in its folder already.

        Raises:
            OSError: It cannot be written.
        """
        record = self.folder(id) / _RECORD
        staged = record.with_suffix(".new")
        staged.write_text(json.dumps(asdict(result)), encoding="utf-8")
        staged.replace(record)  # written last: its presence means that the result is complete

    def find(self, id: str, *, opened: bool = True) -> BatchResult | None:
        """A result; None if there is none.

        Args:
            id: Of the batch.
            opened: Whether somebody opens it, so that the time until its deletion begins again.
        """
        if not _ID.fullmatch(id):
            return None
        record = self.folder(id) / _RECORD
        try:
            result = BatchResult(**json.loads(record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if opened:
            with suppress(OSError):
                record.touch()
        return result

    def file(self, id: str, kind: str) -> Path | None:
        """A file of a result; None if there is none."""
        result = self.find(id)
        name = None if result is None else result.files.get(kind)
        path = None if name is None else self.folder(id) / name
        return path if path is not None and path.is_file() else None

    def delete(self, id: str) -> None:
        """Delete what a batch left, if there is anything."""
        if _ID.fullmatch(id):
            shutil.rmtree(self.folder(id), ignore_errors=True)

    def tidy(self, running: Collection[str]) -> None:
        """Delete results by age and number, and what killed servers left.

        Args:
            running: Batches that have not ended.
        """
        for id in _old(self._ages(running)):
            self.delete(id)

    def _ages(self, running: Collection[str]) -> Iterator[tuple[float, bool, str]]:
        """Seconds since the last opening, whether it has ended, and id."""
        now = time.time()
        with suppress(OSError):
            for folder in self._folder.iterdir():
                if folder.name in running or not _ID.fullmatch(folder.name):
                    continue
                record = folder / _RECORD
                with suppress(OSError):  # deleted by another server
                    ended = record.exists()
                    yield now - (record if ended else folder).stat().st_mtime, ended, folder.name


def new_id() -> str:
    """The id of a new batch, which nobody can guess."""
    return secrets.token_urlsafe(16)


def _old(ages: Iterable[tuple[float, bool, str]]) -> Iterator[str]:
    for place, (age, ended, id) in enumerate(sorted(ages)):
        if age > (KEPT_SECONDS if ended else _UNFINISHED_SECONDS) or (ended and place >= KEPT):
            yield id

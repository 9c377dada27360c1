"""Data sets of a workspace: rows with their right answers, and texts that have none yet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlplug.data.corrections import Corrections
from nlplug.data.formats import DataFile
from nlplug.data.readers import read_rows
from nlplug.data.rows import DataRow
from nlplug.data.writers import open_writer
from nlplug.errors import DataError, OptionError
from nlplug.families.family import load
from nlplug.models.atomic import Staged, exclusive
from nlplug.workspace.folder import WorkspaceFolder, read_json, write_json

if TYPE_CHECKING:
    from nlplug.task import Task

Part = Literal["rows", "unlabelled"]
"""``rows``: rows with their right answers. ``unlabelled``: rows without."""
_RECORD = "dataset.json"


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        folder: Its folder.
        task: Name of its task.
    """

    folder: Path
    task: str

    @property
    def name(self) -> str:
        """The name of the data set."""
        return self.folder.name

    @classmethod
    def create(cls, workspace: WorkspaceFolder, name: str, task: Task) -> DataSet:
        """A new data set without rows.

        Raises:
            OptionError: The name is in use or cannot be one, or answers of the task cannot be
                corrected.
        """
        corrections_of(task)
        folder = workspace.place("datasets", name)
        if folder.exists():
            raise OptionError(f"There is a data set {name!r} already.", hint="Choose another name.")
        with Staged(folder, folder=True) as staged:
            write_json(staged.path / _RECORD, {"task": task.name})
            (staged.path / "rows.jsonl").touch()
            (staged.path / "unlabelled.jsonl").touch()
            staged.commit(replace=False)
        return cls(folder, task.name)

    @classmethod
    def open(cls, workspace: WorkspaceFolder, name: str) -> DataSet:
        """A data set of a workspace.

        Raises:
            OptionError: There is none of this name.
        """
        folder = workspace.place("datasets", name)
        record = read_json(folder / _RECORD)
        if record is None:
            known = ", ".join(workspace.names("datasets", _RECORD)) or "none"
            raise OptionError(f"There is no data set {name!r}.", hint=f"There are: {known}.")
        return cls(folder, str(record.get("task")))

    @classmethod
    def all(cls, workspace: WorkspaceFolder, task: str | None = None) -> list[DataSet]:
        """The data sets of a workspace by name; with ``task``, only those of that task."""
        names = workspace.names("datasets", _RECORD)
        found = [cls.open(workspace, name) for name in names]
        return [one for one in found if task is None or one.task == task]

    def file(self, part: Part = "rows") -> Path:
        """The file of a part, as JSON Lines."""
        return self.folder / f"{part}.jsonl"

    def rows(self, part: Part = "rows") -> list[DataRow]:
        """The rows of a part, in the order of the file.

        Raises:
            DataError: The file cannot be read.
        """
        return list(read_rows(self.file(part)))

    def count(self, part: Part = "rows") -> int:
        """The number of rows of a part; the file is read again only after a change.

        Raises:
            DataError: The file cannot be read.
        """
        try:
            stat = self.file(part).stat()
        except FileNotFoundError:
            return len(self.rows(part))  # raises the error that says so
        return _counted(self.file(part), stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def add(self, rows: Sequence[Mapping[str, Any]], part: Part = "rows") -> None:
        """Add rows at the end."""
        self._add({part: rows})

    def label(self, row: Mapping[str, Any], place: int, was: str) -> None:
        """Add a row, and remove the one that it answers from those without an answer.

        Args:
            row: The new row.
            place: Place of the row in the part ``unlabelled``, from 0.
            was: Its `digest`.

        Raises:
            DataError: Another row is at this place now.
        """
        with self._locked():
            waiting = self._checked({place: was}, "unlabelled")
            rest = [r for n, r in enumerate(waiting) if n != place]
            rows = [r.values for r in self.rows("rows")]
            self._write({"unlabelled": rest, "rows": [*rows, row]})

    def replace(self, place: int, was: str, row: Mapping[str, Any], part: Part = "rows") -> None:
        """Replace a row.

        Args:
            place: Its place in the part, from 0.
            was: Its `digest`.
            row: The new row.
            part: The part.

        Raises:
            DataError: Another row is at this place now.
        """
        with self._locked():
            rows = self._checked({place: was}, part)
            rows[place] = dict(row)
            self._write({part: rows})

    def remove(self, places: Mapping[int, str], part: Part = "rows") -> None:
        """Remove rows.

        Args:
            places: Place of each row in the part, from 0, and its `digest`.
            part: The part.

        Raises:
            DataError: Another row is at one of these places now.
        """
        with self._locked():
            rows = self._checked(places, part)
            self._write({part: [r for place, r in enumerate(rows) if place not in places]})

    def take(self, file: DataFile, corrections: Corrections) -> dict[Part, int]:
        """Add the rows of a file: those without an answer to the part ``unlabelled``.

        Returns:
            How many rows were added to each part.

        Raises:
            DataError: A row cannot be used, or there is none; nothing is added.
        """
        rows = list(read_rows(file))
        if not rows:
            raise DataError(f"{file.path} has no rows.", hint="Add at least one row.")
        known = [row for row in rows if corrections.has_value(row.values)]
        rest = [row for row in rows if not corrections.has_value(row.values)]
        new = [corrections.open_row(row) for row in rest]
        self._add({"unlabelled": new, "rows": corrections.rows(known)})
        return {"rows": len(known), "unlabelled": len(new)}

    def delete(self) -> None:
        """Delete the data set."""
        with self._locked():
            shutil.rmtree(self.folder)

    def _locked(self) -> Any:
        return exclusive(self.folder.with_name(f".{self.name}.lock"))

    def _checked(self, places: Mapping[int, str], part: Part) -> list[dict[str, Any]]:
        rows = [row.values for row in self.rows(part)]
        for place, was in places.items():
            if not 0 <= place < len(rows) or digest(rows[place]) != was:
                raise DataError(
                    f"Row {place + 1} of {self.name!r} has changed since it was shown.",
                    hint="Load the rows again and repeat the change.",
                )
        return rows

    def _add(self, parts: Mapping[Part, Sequence[Mapping[str, Any]]]) -> None:
        with self._locked():
            self._write(
                {part: [*(r.values for r in self.rows(part)), *new] for part, new in parts.items()}
            )

    def _write(self, parts: Mapping[Part, Sequence[Mapping[str, Any]]]) -> None:
        """Replace parts, the last one first; none of them if there is no room for one."""
        with ExitStack() as stack:
            for part, rows in parts.items():
                writer = stack.enter_context(open_writer(self.file(part)))
                for row in rows:
                    writer.write(row)
                writer.flush()


@lru_cache(maxsize=1024)
def _counted(file: Path, inode: int, changed: int, size: int) -> int:
    """The number of rows of a file of this inode, time of change and size."""
    return sum(1 for _ in read_rows(file))


def digest(row: Mapping[str, Any]) -> str:
    """A short hash of a row, by which a change is noticed."""
    text = json.dumps(dict(row), ensure_ascii=True, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def corrections_of(task: Task) -> Corrections:
    """How the answers of a task are corrected.

    Raises:
        OptionError: They cannot be corrected.
    """
    if not task.family.corrections:
        raise OptionError(
            f"Answers of the task {task.name!r} cannot be corrected.",
            hint="Correct the rows in their file. In a family of your own, set Family.corrections "
            "to 'module:Class' of a nlplug.data.corrections.Corrections.",
        )
    found: Corrections = load(task.family.corrections)()
    return found

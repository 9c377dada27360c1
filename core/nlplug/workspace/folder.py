"""The layout of a workspace folder.

```text
workspace.json             marks the folder as a workspace
datasets/NAME/             dataset.json (the task), rows.jsonl, unlabelled.jsonl
runs/NAME/                 a training run: its settings, its rows, its log and how it ended
models/NAME, NAME.training, NAME.report    what nlplug train writes
wheels/                    packed models
```
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlplug.errors import DataError, OptionError
from nlplug.json_text import parse_json
from nlplug.models.atomic import Staged

_MARK = "workspace.json"
_FORMAT = 1
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_PARTS = ("datasets", "runs", "models", "wheels")


@dataclass(frozen=True)
class WorkspaceFolder:
    """A workspace.

    Attributes:
        path: The folder, absolute.
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False) -> WorkspaceFolder:
        """A workspace.

        Args:
            path: The folder.
            create: Whether to make a new or empty folder a workspace.

        Raises:
            OptionError: The folder is not a workspace, or of a newer version of nlplug.
        """
        folder = Path(path).expanduser().absolute()
        mark = folder / _MARK
        if not mark.is_file():
            if not create:
                raise OptionError(
                    f"{folder} is not a workspace.",
                    hint=f"Create one with: nlplug workspace create {path}",
                )
            if folder.is_file() or (folder.is_dir() and not all(map(_begun, folder.iterdir()))):
                raise OptionError(
                    f"{folder} is not empty and is not a workspace.",
                    hint="Choose a new or an empty folder.",
                )
            _make(folder)
        record = read_json(mark) or {}
        if record.get("format") != _FORMAT:
            raise OptionError(
                f"{mark} has the format {record.get('format')!r}; this nlplug reads {_FORMAT}.",
                hint="Install the version of nlplug that made the workspace.",
            )
        return cls(folder)

    def place(self, part: str, name: str) -> Path:
        """The folder or file of something in the workspace.

        Args:
            part: ``datasets``, ``runs``, ``models`` or ``wheels``.
            name: Its name.

        Raises:
            OptionError: The name has other characters than lower-case letters, digits, ``-`` and
                ``_``.
        """
        if not _NAME.fullmatch(name):
            raise OptionError(
                f"{name!r} cannot be a name in a workspace.",
                hint="Use at most 64 lower-case letters, digits, - and _, such as my-tickets.",
            )
        return self.path / part / name

    def names(self, part: str, mark: str) -> list[str]:
        """Names of the folders in a part that have the file ``mark``, sorted."""
        found = (self.path / part).glob(f"*/{mark}")
        return sorted(path.parent.name for path in found if _NAME.fullmatch(path.parent.name))


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no such file.

    Raises:
        DataError: The file holds something else.
    """
    try:
        value = parse_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}.", hint="Restore or remove it.") from None
    if not isinstance(value, dict):
        raise DataError(f"{file} does not hold a JSON object.", hint="Restore or remove it.")
    return value


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Write an object as a JSON file, whole or not at all."""
    with Staged(file) as staged:
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        staged.path.write_text(text, encoding="utf-8")
        staged.commit()


def _begun(path: Path) -> bool:
    """Whether this is what `_make` leaves when the disk is full or its process is killed."""
    part = path.name in _PARTS and path.is_dir() and not any(path.iterdir())
    return part or path.name.startswith(f".{_MARK}.")


def _make(folder: Path) -> None:
    try:
        for part in _PARTS:
            (folder / part).mkdir(parents=True, exist_ok=True)
        write_json(folder / _MARK, {"format": _FORMAT})
    except OSError as error:
        raise OptionError(
            f"{folder} cannot be created ({error.strerror or error}).",
            hint="Choose a folder that can be written.",
        ) from None

"""The record of a model that a plugin or a model package provides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelSpec:
    """One ready model.

    Attributes:
        name: The name users type, unique among installed packages, such as ``sentiment-en-small``.
        task: Name of the task it serves.
        path: Folder of the bundle when the package embeds it, else None.
        hub_id: ``owner/name`` on the Hub when it has to be fetched, else None.
        description: One line: languages, size, what it was trained on.
        license: SPDX identifier or a short text.
        size: Bytes on disk or to fetch; 0 when unknown.
    """

    name: str
    task: str
    path: Path | None = None
    hub_id: str | None = None
    description: str = ""
    license: str = ""
    size: int = 0

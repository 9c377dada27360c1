"""The distributions of this workspace and their folders."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _name(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["name"])


MEMBERS = {
    _name(file.parent): file.parent
    for file in sorted(
        [
            ROOT / "core" / "pyproject.toml",
            *ROOT.glob("plugins/*/pyproject.toml"),
            ROOT / "webui" / "pyproject.toml",
        ]
    )
}

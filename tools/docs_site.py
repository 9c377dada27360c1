"""Hook of MkDocs: pages of the repository's top folder, and the page of all commands.

The site's folder is ``docs/``. `SECURITY.md` and others are at the top of the
repository, where code hosts look for them, and pages link to them as ``../SECURITY.md``.
Links to other files of the repository, such as recipes, are written as code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")

COMMANDS = """# Commands

All commands with their options. Installed tasks add their options to `run`, `train` and `evaluate`.

::: mkdocs-click
    :module: nlplug.cli.main
    :command: main
    :prog_name: nlplug
    :depth: 1
    :style: plain
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in ``docs/``."""
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in TOP}
    for name, text in {**pages, "cli.md": COMMANDS}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links lead to pages of the site; those to other files of the repository become code."""
    if page.file.src_uri == "mutants.md":  # its lines of code would fill the results of the search
        page.meta["search"] = {"exclude": True}
    here = ROOT if page.file.src_uri in TOP else ROOT / "docs"

    def target(match: re.Match[str]) -> str:
        text, link, anchor = match[1], match[2], match[3] or ""
        if re.match(r"\w+:", link):
            return match[0]
        path = (here / link).resolve()
        if path.parent == ROOT / "docs" or (path.parent == ROOT and path.name in TOP):
            return f"[{text}]({path.name}{anchor})"
        if path.parent in (ROOT / "docs" / "images", ROOT / "docs" / "notebooks"):
            return f"[{text}]({path.parent.name}/{path.name})"
        return f"`{path.relative_to(ROOT)}`"

    return _LINK.sub(target, markdown)

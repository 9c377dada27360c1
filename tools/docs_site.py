"""Hook of MkDocs: pages of the repository's top folder, and the pages of commands and classes.

The site's folder is ``docs/``. `SECURITY.md` and others are at the top of the
repository, where code hosts look for them, and pages link to them as ``../SECURITY.md``.
Links to other files of the repository, such as recipes, are written as code.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

# Importable through the line above.
from api_page import LIST, definition  # noqa: E402

TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md")
_EXAMPLES = re.compile(r"<p>((?:(?:nlplug|torchrun) .*\n?)+)</p>")
_SESSION = re.compile(r"^```python(?=\n>>> )", re.MULTILINE)
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

REFERENCE = """# Reference of classes and functions

The names of the [public API](api.md), with their arguments, fields and errors.
"""


def reference() -> str:
    """The page of all public names; mkdocstrings fills in their docstrings."""
    parts = [REFERENCE]
    shown: set[tuple[str, str]] = set()
    for area in tomllib.loads(LIST.read_text(encoding="utf-8"))["areas"]:
        parts.append(f"## {area['title']}\n")
        for module, names in area["modules"].items():
            for name in names:
                source = definition(module, name)[0]
                if (source, name) not in shown:
                    shown.add((source, name))
                    parts.append(f"::: {module}.{name}\n")
    return "\n".join(parts)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in ``docs/``."""
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in TOP}
    for name, text in {**pages, "cli.md": COMMANDS, "reference.md": reference()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links lead to pages of the site; those to other files of the repository become code.

    Blocks with the prompts of Python are marked as sessions.
    """
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

    sessions = _SESSION.sub("```pycon", markdown)  # prompts and output are no code to copy
    return _LINK.sub(target, sessions)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Show the examples of commands as code; mkdocs-click makes one paragraph of their lines."""
    if page.file.src_uri != "cli.md":
        return html
    return _EXAMPLES.sub(r'<div class="highlight"><pre><code>\1</code></pre></div>', html)

"""The README and the pages in docs/ show only what works: their code blocks are run.

``docs/plugins.md`` installs a package and so has tests of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docrunner import ROOT, blocks, check, run

PAGES = [
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    if path != ROOT / "docs" / "plugins.md"
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_of_a_page_runs_and_shows_what_the_page_shows(
    page: Path, tmp_path: Path
) -> None:
    for block in blocks(page):
        if block.not_run is None:
            run(block, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_that_do_not_run_name_only_what_exists(page: Path) -> None:
    for block in blocks(page):
        if block.not_run is not None:
            check(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_file_tree_of_the_readme_names_only_what_exists() -> None:
    """A line of the tree is ``name  comment``; two spaces of indent are one folder down."""
    tree = next(block for block in blocks(ROOT / "README.md") if block.language == "text")
    folders: list[str] = []
    missing = []
    for line in tree.text.splitlines():
        match = re.match(r"( *)(\S+)", line)
        if match is None or not line[: match.end()].strip():
            continue
        del folders[len(match[1]) // 2 :]
        path = "/".join([*folders, match[2].rstrip("/")])
        if match[2].endswith("/"):
            folders.append(match[2].rstrip("/"))
        if not (ROOT / path).exists():
            missing.append(path)
    assert missing == []

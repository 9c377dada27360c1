"""The README and the pages in docs/ show only what works: their code blocks are run.

``docs/plugins.md`` installs a package and so has tests of its own.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from docrunner import ROOT, blocks, check, check_sentences, run
from server_kit import running

from nlplug import PluginHost
from nlplug.server import create_app

PAGES = [
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    if path != ROOT / "docs" / "plugins.md"
]

EVERY_PAGE = [
    path
    for pattern in ("*.md", "*/*.md", "plugins/*/README.md", "plugins/*/*/models/*/README.md")
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"
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


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_name_only_commands_that_exist(page: Path) -> None:
    check_sentences(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_page_of_settings_has_every_environment_variable() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    read: set[str] = set()
    for folder in ("core/nlplug", "webui/nlplug_webui", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            read.update(re.findall(r'"(NLPLUG_[A-Z_]+)"', path.read_text(encoding="utf-8")))
    assert read - {"NLPLUG_CONTRACT", "NLPLUG_DATA", "NLPLUG_TRAINING"} <= {
        *re.findall(r"NLPLUG_[A-Z_]+", page)
    }


def test_the_first_page_lists_every_extra() -> None:
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    project = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert {*extras} == {*re.findall(r"`(\w+)`", " ".join(cells))}


def test_the_readme_is_short() -> None:
    for name in ("README.md", "README.zh.md"):
        words = (ROOT / name).read_text(encoding="utf-8").split()
        assert len(words) <= 1200, name


def test_the_chinese_readme_has_the_sections_and_the_code_of_the_english_one() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh.md"
    levels = [
        [
            line.split(" ")[0]
            for line in page.read_text(encoding="utf-8").splitlines()
            if re.match(r"#+ ", line)
        ]
        for page in (english, chinese)
    ]
    assert levels[0] == levels[1]
    texts = [
        [(block.file, _code(block.text)) for block in blocks(page)] for page in (english, chinese)
    ]
    assert texts[0] == texts[1]


def test_the_readmes_have_the_same_figures_of_the_models() -> None:
    figures = []
    for name in ("README.md", "README.zh.md"):
        page = (ROOT / name).read_text(encoding="utf-8")
        rows = re.findall(r"^\| \[([\w-]+)\]\(\S+\) \| (.*) \|$", page, re.MULTILINE)
        figures.append({model: sorted(re.findall(r"\d+\.\d+", told)) for model, told in rows})
    assert len(figures[0]) == 9
    assert figures[0] == figures[1]


def _code(text: str) -> str:
    """A block without its comments, which are translated."""
    return re.sub(r" +# .*", "", text)


def file_tree() -> set[str]:
    """The paths of the tree: ``name  comment``, two more spaces of indent in each folder."""
    page = blocks(ROOT / "docs" / "architecture.md")
    tree = next(block for block in page if "core/" in block.text)
    folders: list[str] = []
    paths = set()
    for line in tree.text.splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        del folders[len(indent) // 2 :]
        paths.add("/".join([*folders, name.rstrip("/")]))
        if name.endswith("/"):
            folders.append(name.rstrip("/"))
    return paths


def test_the_file_tree_names_only_what_exists() -> None:
    assert {path for path in file_tree() if not (ROOT / path).exists()} == set()


def test_the_file_tree_names_every_public_part_of_core() -> None:
    parts = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "core" / "nlplug").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
        if not path.name.startswith("_")
    }
    assert parts - file_tree() == set()


def test_the_client_that_the_readme_shows_is_answered(tmp_path: Path) -> None:
    block = next(block for block in blocks(ROOT / "README.md") if "InferenceClient" in block.text)
    with running(create_app(PluginHost.discover())) as address:
        there = block.text.replace("http://127.0.0.1:8000", address)
        assert there != block.text
        run(replace(block, text=there), tmp_path)

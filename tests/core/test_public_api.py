"""The public API: what it lists exists, is documented, and is all that others import."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import nlplug.plugins
import nlplug.testing

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "core" / "nlplug" / "public_api.toml"
AREAS = tomllib.loads(LIST.read_text(encoding="utf-8"))["areas"]
LISTED = {
    (module, name) for area in AREAS for module, names in area["modules"].items() for name in names
}
USERS = sorted([*ROOT.glob("plugins/*/nlplug_*/"), ROOT / "webui" / "nlplug_webui"])
TEMPLATES = sorted((ROOT / "core" / "nlplug" / "scaffold").rglob("*.py.tmpl"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def imported(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of all that a module imports from nlplug, for types and in functions too.

    A module that is imported whole has the name ``*``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "nlplug"]
            yield from ((name, "*") for name in names)
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "nlplug":
            yield from ((str(node.module), alias.name) for alias in node.names)


@pytest.mark.parametrize("package", USERS, ids=lambda path: path.name)
def test_plugins_and_the_web_ui_import_the_public_api_alone(package: Path) -> None:
    found = {
        (str(path.relative_to(ROOT)), *pair)
        for path in sorted(package.rglob("*.py"))
        for pair in imported(path.read_text(encoding="utf-8"))
        if pair not in LISTED
    }

    assert found == set()


def test_new_plugins_import_the_public_api_alone() -> None:
    found = {
        pair
        for path in TEMPLATES
        for pair in imported(re.sub(r"\{\{(\w+)\}\}", "field", path.read_text(encoding="utf-8")))
    }

    assert ("nlplug", "hookimpl") in found
    assert found <= LISTED


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_pages_import_the_public_api_alone(page: Path) -> None:
    shown = re.findall(
        r"^(?:>>> )? *from (nlplug[\w.]*) import ([\w, ]+)",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    found = {
        (module, name.strip().split(" as ")[0])
        for module, names in shown
        if module.split(".")[0] == "nlplug"
        for name in names.split(",")
    }

    assert found - LISTED == set()


@pytest.mark.parametrize(("module", "name"), sorted(LISTED))
def test_every_name_of_the_list_exists(module: str, name: str) -> None:
    if module.startswith(("nlplug.train", "nlplug.export")) or module.endswith(".training"):
        pytest.importorskip("torch")
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", [nlplug, nlplug.plugins, nlplug.testing])
def test_what_a_package_exports_is_listed(package: object) -> None:
    module, names = package.__name__, set(package.__all__)  # type: ignore[attr-defined]

    assert {name for listed, name in LISTED if listed == module} == names


def test_the_list_is_sorted_within_each_module() -> None:
    for area in AREAS:
        for names in area["modules"].values():
            assert names == sorted(names)


def test_the_page_is_in_step_with_the_list_and_the_docstrings() -> None:
    written = runpy.run_path(str(ROOT / "tools" / "api_page.py"))["page"]()

    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == written, "run: make api"

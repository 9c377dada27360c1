"""The workflows of the code host: actions are named by commit, and what they run exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from members import MEMBERS, ROOT
from test_workspace import project

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PYTHONS = list(runpy.run_path(str(ROOT / "tools" / "release_check.py"))["PYTHONS"])

workflows = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["jobs"]
    return found


@workflows
def test_an_action_is_named_by_its_commit_and_its_version(file: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    used = re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))
    pinned = re.compile(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+")
    assert used
    assert [line for line in used if not pinned.fullmatch(line)] == []


@workflows
def test_the_targets_of_make_exist(file: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"run: make ([\w-]+)", file.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_tests_run_on_three_systems_and_each_python() -> None:
    matrix = jobs("test.yml")["others"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == PYTHONS


def test_a_release_is_checked_with_each_python_and_published_without_a_token() -> None:
    build, publish = jobs("release.yml")["build"], jobs("release.yml")["publish"]
    setup = next(step["with"] for step in build["steps"] if "setup-python" in step.get("uses", ""))
    assert sorted(setup["python-version"].split()) == PYTHONS
    assert publish["permissions"] == {"id-token": "write"}
    assert "password" not in str(publish)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_names_only_pythons_that_are_tested(name: str) -> None:
    prefix = "Programming Language :: Python :: 3."
    lines = project(MEMBERS[name])["project"]["classifiers"]
    named = [line.rpartition(" ")[2] for line in lines if line.startswith(prefix)]
    assert named
    assert set(named) <= set(PYTHONS)

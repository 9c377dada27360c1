"""The members agree on one version, and each of them is named wherever a list cannot be derived."""

from __future__ import annotations

import importlib.util
import shutil
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from members import MEMBERS, ROOT

from nlplug.version import __version__, compatible_range


def project(folder: Path) -> dict[str, Any]:
    """What the ``pyproject.toml`` of a folder says."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def script(root: Path) -> ModuleType:
    """The script ``tools/set_version.py`` of a checkout."""
    spec = importlib.util.spec_from_file_location("set_version", root / "tools" / "set_version.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_files_state_the_version_of_core() -> None:
    changed = script(ROOT).out_of_step()

    assert [str(path.relative_to(ROOT)) for path in changed] == [], "run: make version"


@pytest.mark.parametrize("name", [name for name in MEMBERS if name != "nlplug"])
def test_a_member_has_the_version_of_core_and_accepts_its_minor_version_alone(name: str) -> None:
    found = project(MEMBERS[name])["project"]

    assert found["version"] == __version__
    ranges = [line.split("nlplug", 1)[1] for line in found["dependencies"] if "nlplug" in line]
    assert [line.rpartition("]")[2] for line in ranges] == [compatible_range()]


@pytest.mark.parametrize(
    ("version", "accepted"), [("0.2.0", ">=0.2,<0.3"), ("0.9.4", ">=0.9,<0.10")]
)
def test_a_plugin_accepts_one_minor_version(version: str, accepted: str) -> None:
    assert compatible_range(version) == accepted


def test_a_new_version_is_written_everywhere(tmp_path: Path) -> None:
    files = ["tools/set_version.py", "core/nlplug/version.py", "README.md", "docs/plugins.md"]
    files += ["CITATION.cff"]
    files += [f"{folder}/pyproject.toml" for folder in (".", "plugins/ner", "webui")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    tool = script(tmp_path)

    tool.set_source("7.8.9")
    for path, text in tool.out_of_step().items():
        path.write_text(text, encoding="utf-8")

    assert tool.out_of_step() == {}
    ner, webui = (project(tmp_path / name)["project"] for name in ("plugins/ner", "webui"))
    assert {ner["version"], webui["version"], project(tmp_path)["project"]["version"]} == {"7.8.9"}
    assert ner["dependencies"] == ["nlplug>=7.8,<7.9"]
    assert "nlplug[excel,server]>=7.8,<7.9" in webui["dependencies"]
    assert "nlplug>=7.8,<7.9" in (tmp_path / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert "\nversion: 7.8.9\n" in (tmp_path / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["0.3", "next", "0.3.0\n"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(SystemExit, match="is not a version"):
        script(ROOT).set_source(version)


def test_the_root_installs_every_member() -> None:
    root = project(ROOT)
    named = {line.split(" @ ")[0]: line for line in root["project"]["dependencies"]}
    folders = {name: folder.relative_to(ROOT).as_posix() for name, folder in MEMBERS.items()}

    assert named == {name: f"{name} @ {{root:uri}}/{folder}" for name, folder in folders.items()}
    assert set(root["tool"]["uv"]["sources"]) == set(MEMBERS)


@pytest.mark.parametrize("extra", ["train", "train5"])
def test_the_training_extras_of_the_root_are_those_of_all_members(extra: str) -> None:
    lines = project(ROOT)["project"]["optional-dependencies"][extra]
    trained = {
        name
        for name, folder in MEMBERS.items()
        if extra in project(folder)["project"]["optional-dependencies"]
    }

    assert {line.split(f"[{extra}]")[0] for line in lines} == trained


def test_the_readme_lists_each_task_with_its_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {
        f"| `{task}` | `{name}` |"
        for name, folder in MEMBERS.items()
        if folder.parent.name == "plugins"
        for task in project(folder)["project"]["entry-points"]["nlplug"]
    }

    assert {row for row in rows if row not in readme} == set()

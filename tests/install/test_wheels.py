"""What the wheels hold: the model and the types, but no tests, caches or recipes."""

from __future__ import annotations

import subprocess
import sys
from email import message_from_string
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
from members import MEMBERS, ROOT
from packaging.requirements import Requirement

from nlplug.version import __version__, compatible_range

pytestmark = pytest.mark.install

members = pytest.mark.parametrize("name", MEMBERS)


def content(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


@members
def test_a_wheel_holds_its_own_module_its_types_and_its_licence(
    wheels: dict[str, Path], name: str
) -> None:
    names = content(wheels[name])
    module = name.replace("-", "_")
    assert {entry.split("/")[0].split("-")[0] for entry in names} == {module}
    assert f"{module}/py.typed" in names
    assert any(entry.endswith(".dist-info/licenses/LICENSE") for entry in names)


@members
def test_a_wheel_holds_no_tests_caches_or_hidden_files(wheels: dict[str, Path], name: str) -> None:
    unwanted = ("__pycache__", ".pyc", "/tests/", "/recipe/", "/.", "test_recipe")
    own = [entry for entry in content(wheels[name]) if "/scaffold/" not in entry]
    assert [entry for entry in own if any(part in entry for part in unwanted)] == []


@members
def test_a_wheel_names_no_folder_of_the_machine_that_built_it(
    wheels: dict[str, Path], name: str
) -> None:
    assert "file:" not in metadata(wheels[name]).as_string()


def test_the_sentiment_wheel_holds_its_model_whole(wheels: dict[str, Path]) -> None:
    folder = ROOT / "plugins" / "sentiment" / "nlplug_sentiment" / "models" / "sentiment-en"
    files = {
        path.relative_to(folder.parents[1]).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert any(name.endswith("nlplug.json") for name in files)
    assert files == {
        entry.removeprefix("nlplug_sentiment/")
        for entry in content(wheels["nlplug-sentiment"])
        if "/models/sentiment-en/" in entry
    }


def test_the_core_wheel_holds_what_new_plugins_are_made_from(wheels: dict[str, Path]) -> None:
    folder = ROOT / "core" / "nlplug" / "scaffold"
    files = {
        path.relative_to(folder.parents[1]).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files
    assert files <= set(content(wheels["nlplug"]))


@members
def test_each_extra_stands_in_the_metadata(wheels: dict[str, Path], name: str) -> None:
    extras = set(metadata(wheels[name]).get_all("Provides-Extra") or [])
    assert {"cpu", "gpu"} <= extras
    assert name == "nlplug-webui" or "train" in extras


@members
def test_no_wheel_requires_an_onnx_runtime_outright(wheels: dict[str, Path], name: str) -> None:
    """The CPU and the GPU wheel overwrite each other, so which one is for the user to say."""
    required = metadata(wheels[name]).get_all("Requires-Dist") or []
    outright = [line for line in required if "extra ==" not in line]
    assert [line for line in outright if line.startswith("onnxruntime")] == []


@members
def test_each_member_carries_the_same_licence(name: str) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert (MEMBERS[name] / "LICENSE").read_bytes() == licence


@pytest.mark.parametrize("name", ["nlplug", "nlplug-sentiment", "nlplug-webui"])
def test_the_sdist_builds_the_same_wheel(
    wheels: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """An sdist holds no file outside of its member's folder, so nothing may depend on one."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(MEMBERS[name])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

    (built,) = tmp_path.glob("*.whl")
    assert sorted(content(built)) == sorted(content(wheels[name]))
    assert metadata(built).as_string() == metadata(wheels[name]).as_string()
    assert metadata(built)["Version"] == __version__


@members
def test_a_member_requires_one_minor_version_of_core(wheels: dict[str, Path], name: str) -> None:
    lines = metadata(wheels[name]).get_all("Requires-Dist") or []
    required = [found for found in map(Requirement, lines) if found.name == "nlplug"]
    ranges = [{str(part) for part in found.specifier} for found in required if not found.marker]

    assert metadata(wheels[name])["Version"] == __version__
    assert ranges == ([] if name == "nlplug" else [set(compatible_range().split(","))])

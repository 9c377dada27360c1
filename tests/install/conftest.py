"""Wheels of all members, built once, and environments that hold only what a test installs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from members import MEMBERS, ROOT


@dataclass(frozen=True)
class Environment:
    """A virtual environment that knows nothing of this checkout."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, from a folder that is not the checkout."""
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *what: str, compiled: bool = False) -> None:
        """pip install with the tested versions; Python compiles the modules that are imported.

        With ``compiled``, pip compiles all of them, as it does for users: half of its work.
        """
        _pip(
            *("--python", str(self.bin / "python"), "install"),
            *(() if compiled else ("--no-compile",)),
            *("-c", str(ROOT / "constraints.txt"), *what),
        )

    def packages(self) -> set[str]:
        """Names of the installed distributions."""
        code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
        return {
            name.lower().replace("_", "-") for name in self.run("python", "-c", code).stdout.split()
        }


@pytest.fixture(scope="session")
def wheels(made_once: Callable[[str, Callable[[Path], None]], Path]) -> dict[str, Path]:
    """The wheel of each member, by distribution."""
    folder = made_once("wheels", lambda folder: _pip_wheel(folder, *MEMBERS.values()))
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in MEMBERS}


@pytest.fixture(scope="session")
def build_wheel() -> Callable[[Path], Path]:
    """Builds the one package of a folder into its ``dist``."""

    def build(source: Path) -> Path:
        _pip_wheel(source / "dist", source)
        (wheel,) = (source / "dist").glob("*.whl")
        return wheel

    return build


@pytest.fixture(scope="session")
def make_environment(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], Environment]:
    """Makes an empty environment."""

    def make() -> Environment:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=False)
        return Environment(folder)

    return make


def _pip_wheel(target: Path, *sources: Path) -> None:
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(target), *map(str, sources))


def _pip(*arguments: str) -> None:
    """The pip of the tests' own environment; quiet, unless it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""A virtual environment of its own in a second, with the packages of the tests' own beneath it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment and a folder to work in.

    What pip installs there needs no network, and nothing outside changes.
    """

    python: Path
    folder: Path

    def run(self, *arguments: str, code: int = 0, folder: Path | None = None) -> str:
        """Run Python with these arguments; its output, when it ends with ``code``."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=folder or self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def nlplug(self, *arguments: str, code: int = 0) -> str:
        """Run the command line."""
        return self.run("-m", "nlplug", *arguments, code=code)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of this process, without what would lead out of the environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NLPLUG_", "PYTHON"))}
        return kept | self.offline

    @property
    def offline(self) -> dict[str, str]:
        """What keeps pip from the network: no index, and build tools that are installed."""
        return {
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }


def make_environment(folder: Path) -> Environment:
    """Make one in ``folder/env``."""
    venv.create(folder / "env", with_pip=False, symlinks=True)
    site = next((folder / "env").glob("lib/python*/site-packages"))
    outer = sysconfig.get_path("purelib")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n", encoding="utf-8")
    python = folder / "env" / "bin" / "python"
    command = python.with_name("nlplug")
    command.write_text(
        f"#!{python}\nfrom nlplug.cli.main import main\n\nmain()\n", encoding="utf-8"
    )
    command.chmod(0o755)
    return Environment(python, folder)

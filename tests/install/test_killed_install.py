"""Whenever the installation of a plugin is killed: nlplug still works, and it can be run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from environment_kit import Environment, make_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")

PLUGIN = """
from nlplug import hookimpl
from nlplug_late_kit import LateTask


@hookimpl
def register_tasks():
    return [LateTask()]
"""
KIT = """
from nlplug.families.sequence_classification import SequenceClassificationTask


class LateTask(SequenceClassificationTask):
    name = "late"
    title = "Late"
    description = "Comes late."
"""
# Started by each Python of the environment: kills the whole command before the step with the number
# NLPLUG_KILL_AT among those that change the folder of packages.
KILLER = """
import os, signal, sys

def watch():
    site = os.path.dirname(os.path.abspath(__file__))
    left = int(os.environ["KILL_AT"])
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event, arguments):
        nonlocal left
        changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
        changes = changes or (event == "open" and bool(arguments[2] & writes))
        if not changes or site not in str(arguments[:2]) or "__pycache__" in str(arguments[0]):
            return
        left -= 1
        if left < 0:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)

if "KILL_AT" in os.environ:
    watch()
"""
METADATA = "Metadata-Version: 2.1\nName: nlplug-late\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "nlplug_late-1.0-py3-none-any.whl"
    info = "nlplug_late-1.0.dist-info"
    files = {
        "nlplug_late_kit.py": KIT,
        "nlplug_late/__init__.py": PLUGIN,
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": "[nlplug]\nlate = nlplug_late\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, content)
    return path


def install(environment: Environment, wheel: Path, *, kill_at: int) -> int:
    """The exit code; negative if it was killed before its step with this number."""
    done = subprocess.run(
        [environment.python, "-m", "nlplug", "plugins", "install", str(wheel)],
        cwd=environment.folder,
        env=environment.variables | {"KILL_AT": str(kill_at)},
        capture_output=True,
        start_new_session=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


def state(environment: Environment) -> str:
    """What ``nlplug plugins list`` says of the plugin."""
    listed = json.loads(environment.nlplug("plugins", "list", "--json"))
    return next((str(one["state"]) for one in listed if one["name"] == "late"), "absent")


def test_a_killed_installation_can_be_run_again(wheel: Path, tmp_path: Path) -> None:
    environment = make_environment(tmp_path)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "killer.py").write_text(KILLER)
    (site / "killer.pth").write_text("import killer\n")
    killed = 0
    for kill_at in (1, 6, 8, 10, 100):
        code = install(environment, wheel, kill_at=kill_at)
        killed += code != 0
        assert state(environment) in ("absent", "available"), "nlplug works"
        environment.nlplug("plugins", "install", str(wheel))
        environment.nlplug("plugins", "check", "late")
        environment.nlplug("plugins", "uninstall", "nlplug-late", "-y")
        left = [name for name in os.listdir(site) if "late" in name]
        assert left == [], "nothing of the killed one stays"
    assert killed == 4

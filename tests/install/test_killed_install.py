"""An installation that is killed, or has no room: nlplug still works, and it can be run again."""

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
from small_disk_kit import small_disk

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
# Before the old version is copied, while pip removes it, and while it writes the new one.
STEPS = (12, 15, 19)
METADATA = "Metadata-Version: 2.1\nName: nlplug-late\nVersion: {}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder: Path, version: str, *, size: int = 0) -> Path:
    path = folder / f"nlplug_late-{version}-py3-none-any.whl"
    info = f"nlplug_late-{version}.dist-info"
    files = {
        "nlplug_late_kit.py": f"{KIT}# {version}",
        "nlplug_late/__init__.py": PLUGIN,
        "nlplug_late/weights.txt": "0" * size,
        f"{info}/METADATA": METADATA.format(version),
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


def state(environment: Environment) -> tuple[str, str]:
    """What ``nlplug plugins list`` says of the plugin: its state and its version."""
    listed = json.loads(environment.nlplug("plugins", "list", "--json"))
    found = [(one["state"], one["version"]) for one in listed if one["name"] == "late"]
    return found[0] if found else ("absent", "")


@pytest.fixture
def watched(tmp_path: Path) -> Environment:
    """An environment whose commands can be killed."""
    environment = make_environment(tmp_path)
    (site(tmp_path) / "killer.py").write_text(KILLER)
    (site(tmp_path) / "killer.pth").write_text("import killer\n")
    return environment


def site(folder: Path) -> Path:
    (found,) = (folder / "env").glob("lib/python*/site-packages")
    return found


def left(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(site(folder)) if "late" in name)


def test_a_killed_installation_can_be_run_again(watched: Environment, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "1.0")
    killed = 0
    for kill_at in (8, 10):
        code = install(watched, wheel, kill_at=kill_at)
        killed += code != 0
        assert state(watched)[0] in ("absent", "available"), "nlplug works"
        watched.nlplug("plugins", "install", str(wheel))
        watched.nlplug("plugins", "check", "late")
        watched.nlplug("plugins", "uninstall", "nlplug-late", "-y")
        assert left(tmp_path) == [], "nothing of the killed one stays"
    assert killed == 2


def test_a_killed_upgrade_leaves_the_old_version(watched: Environment, tmp_path: Path) -> None:
    old, new = make_wheel(tmp_path, "1.0"), make_wheel(tmp_path, "2.0")
    watched.nlplug("plugins", "install", str(old))
    whole = left(tmp_path)
    for kill_at in STEPS:
        assert install(watched, new, kill_at=kill_at) == -signal.SIGKILL, kill_at
        assert state(watched) == ("available", "1.0"), kill_at
        assert left(tmp_path) == whole, kill_at
    watched.nlplug("plugins", "check", "late")
    watched.nlplug("plugins", "install", str(new))
    assert state(watched) == ("available", "2.0")


def test_an_installation_on_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    old, new = (make_wheel(tmp_path, version, size=400_000) for version in ("1.0", "2.0"))
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        environment = make_environment(disk.folder)
        environment.nlplug("plugins", "list")  # so that all is compiled
        for size in (0, 100_000, 300_000):
            disk.leave(size)
            environment.nlplug("plugins", "install", str(old), code=4)
            assert left(disk.folder) == []
        disk.leave(900_000)
        environment.nlplug("plugins", "install", str(old))
        whole = left(disk.folder)
        for size, code in ((0, 1), (300_000, 1), (600_000, 4)):
            disk.leave(size)
            environment.nlplug("plugins", "install", str(new), code=code)
            assert state(environment) == ("available", "1.0")
            assert left(disk.folder) == whole
        environment.nlplug("plugins", "check", "late")

"""Targets: ``make models`` starts a training once; a warning ends ``make docs``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from members import ROOT

pytestmark = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("ps")), reason="needs make and ps"
)
RECIPE = "plugins/ner/recipe/make.py"


def start(folder: Path, pid: int) -> subprocess.CompletedProcess[str]:
    """Run the target with a Python that ends at once, where ``pid`` is on record."""
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "trained with $1"\n')
    python.chmod(0o755)
    installed = folder / "venv" / ".base-installed"
    (folder / "ner-en.pid").write_text(str(pid))
    command = ["make", "-o", str(installed), "models", "MODEL=ner-en", f"VENV={folder / 'venv'}"]
    settings = {**os.environ, "NLPLUG_TRAINING": str(folder)}
    return subprocess.run(
        command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_number_of_another_process_does_not_block_a_training(tmp_path: Path) -> None:
    done = start(tmp_path, os.getpid())

    assert done.returncode == 0, done.stderr
    assert "Started in the background" in done.stdout


def test_a_running_training_is_not_started_again(tmp_path: Path) -> None:
    wait = [sys.executable, "-c", "import sys; sys.stdin.read()", RECIPE]
    with subprocess.Popen(wait, stdin=subprocess.PIPE) as running:
        done = start(tmp_path, running.pid)
        running.communicate()

    assert done.returncode != 0
    assert "It is already running" in done.stderr


def test_a_warning_ends_the_build_of_the_documentation() -> None:
    """With ``--quiet``, MkDocs does not count the warnings that ``strict`` looks for."""
    done = subprocess.run(
        ["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (build,) = [line for line in done.stdout.splitlines() if "mkdocs build" in line]

    assert "quiet" not in build and " -q" not in build
    assert "strict: true" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

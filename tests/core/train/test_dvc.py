"""The stage of docs/dvc.md, run by DVC where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docrunner import ROOT, blocks
from toy_set import toy_rows

from nlplug.data.writers import open_writer

pytestmark = pytest.mark.train
TINY = """
batch_size = 8
precisions = ["fp32"]
device = "cpu"
threads = 1
"""


def test_dvc_repeats_the_stage_only_after_a_change(tiny_bert: Path, tmp_path: Path) -> None:
    pytest.importorskip("dvc")
    for block in blocks(ROOT / "docs" / "dvc.md"):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    settings = tmp_path / "train.toml"
    given = settings.read_text(encoding="utf-8").replace("epochs = 3", "epochs = 6")
    settings.write_text(given.replace("5e-4", "5e-3") + TINY, encoding="utf-8")
    shutil.copytree(tiny_bert, tmp_path / "base")
    rows = toy_rows(96)
    for name, part in (("train.csv", rows[:72]), ("dev.csv", rows[72:])):
        with open_writer(tmp_path / name) as writer:
            for row in part:
                writer.write(row)
    scripts = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
        "DVC_NO_ANALYTICS": "1",
        "NLPLUG_OFFLINE": "1",
    }

    def dvc(*words: str) -> str:
        command = [sys.executable, "-m", "dvc", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("init", "--no-scm", "--quiet")
    assert "Running stage 'train'" in dvc("repro")
    assert "report.json" in dvc("metrics", "show")
    assert "Running stage" not in dvc("repro")
    changed = settings.read_text(encoding="utf-8").replace("seed = 1", "seed = 2")
    settings.write_text(changed, encoding="utf-8")
    assert "Running stage 'train'" in dvc("repro")

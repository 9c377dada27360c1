"""Three commands make an installable model of a CSV file; it answers where nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docrunner import ROOT, blocks, run
from training_kit import untrained_bert

pytestmark = [pytest.mark.install, pytest.mark.train]

DATA = [block for block in blocks(ROOT / "docs" / "training.md") if block.file == "tickets.csv"]
SETTINGS = ("--eval-share", "0.4", "--epochs", "20", "--learning-rate", "3e-3")


def test_the_wheel_of_a_csv_file_answers_in_an_empty_environment(
    make_environment: Callable[[], Any], wheels: dict[str, Path], tmp_path: Path
) -> None:
    for block in DATA:
        run(block, tmp_path)
    base = tmp_path / "base"
    base.mkdir()
    untrained_bert(base, [block.text for block in DATA])

    def nlplug(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "nlplug", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    rows = ("--data", "tickets.csv", "--base", "base", *SETTINGS)
    nlplug("data", "check", "classification", "tickets.csv")
    nlplug("train", "classification", *rows, "--allow-trivial", "--output", "tickets")
    nlplug("package", "tickets", "--name", "tickets", "--output", "dist")

    environment = make_environment()
    (model,) = (tmp_path / "dist").glob("*.whl")
    core, plugin = wheels["nlplug"], wheels["nlplug-classification"]
    environment.install(f"{core}[cpu]", str(plugin), str(model))
    assert not environment.packages() & {"torch", "transformers"}
    ask = ("run", "classification", "The invoice has the wrong amount", "--model", "tickets")
    done = environment.run("nlplug", *ask)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in {"billing", "technical"}
    checked = environment.run("nlplug", "verify", "tickets")
    assert checked.stdout.split() == ["ok", "tickets"]

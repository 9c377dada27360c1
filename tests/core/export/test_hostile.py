"""No key and no file of a checkpoint can have code fetched or run, on either stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hostile_kit
import pytest

pytestmark = pytest.mark.train


@pytest.fixture
def hostile(random_bert: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    shutil.copytree(random_bert, folder)
    hostile_kit.make_hostile(folder)
    return folder


def test_nothing_of_a_checkpoint_is_fetched_unpickled_or_run(hostile: Path, tmp_path: Path) -> None:
    command = [sys.executable, hostile_kit.__file__, str(hostile), str(tmp_path / "output")]
    environment = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # ONNX Runtime and tokenizers read their own files without Python.
    assert found == {"opened": [], "hosts": [], "ran": [], "made": []}


def test_the_files_would_run_if_they_were_trusted(hostile: Path) -> None:
    import pickle

    pickle.loads((hostile / "pytorch_model.bin").read_bytes())
    assert (hostile / hostile_kit.MARKER).is_file()

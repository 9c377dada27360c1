"""Training and export where the disk has no room: one clear error, and nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlplug.errors import DiskFull, explained

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from nlplug.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000))
main(sys.argv[1:])
"""


def classifier(base: Path, folder: Path) -> Path:
    """A checkpoint with a random output layer."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoModelForSequenceClassification.from_pretrained(base).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.mark.train
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of a file")
@pytest.mark.parametrize("command", ["train", "export"])
def test_a_full_disk_is_told_and_what_was_there_stays(
    command: str, tiny_bert: Path, toy_files: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint = classifier(tiny_bert, tmp_path / "checkpoint")
    output = tmp_path / "out"
    output.mkdir()
    (output / "kept.txt").write_text("old")
    arguments = {
        "train": ["train", "classification", "--data", str(toy_files[0]), "--base", str(tiny_bert)],
        "export": ["export", str(checkpoint), "--task", "classification", "--allow", "answers"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments, "--output", str(output / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "no larger file" in done.stderr, done.stderr
    assert "report it" not in done.stderr
    assert not (output / "model").exists()
    assert (output / "kept.txt").read_text() == "old"


@pytest.mark.parametrize(
    "text",
    [
        f"Error while serializing: I/O error: {os.strerror(errno.ENOSPC)} (os error 28)",
        "[enforce fail at inline_container.cc:862] . PytorchStreamWriter failed writing file",
    ],
)
def test_libraries_that_write_themselves_are_understood(text: str) -> None:
    assert isinstance(explained(RuntimeError(text)), DiskFull)
    assert explained(RuntimeError("another fault")) is None

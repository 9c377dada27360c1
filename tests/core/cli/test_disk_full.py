"""A full disk is told as such, and never as a fault to report."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from nlplug.errors import DiskFull, explained
from nlplug.testing import tiny_text_classifier


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_command_says_that_the_disk_is_full() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "nlplug", "plugins", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    assert run.returncode == 1
    assert run.stderr.startswith("Error: The disk is full")
    assert "report it" not in run.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_message_names_the_file(number: int) -> None:
    told = explained(OSError(number, os.strerror(number), "/data/model.onnx"))
    assert isinstance(told, DiskFull)
    assert "/data/model.onnx" in told.message
    assert told.http_status == 507


def test_other_errors_stay_what_they_are() -> None:
    assert explained(OSError(errno.ENOENT, "no")) is None
    assert explained(ValueError()) is None


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EROFS, errno.EMFILE, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO],
)
def test_a_refusal_of_the_system_is_no_bug(number: int) -> None:
    told = explained(OSError(number, os.strerror(number), "/data/model.onnx"))
    assert told is not None
    assert told.message == f"{os.strerror(number)} at /data/model.onnx."
    assert told.hint


def test_a_model_whose_name_is_too_long_is_refused() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "nlplug", "models", "verify", "x" * 300],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("Error: File name too long")
    assert "bug" not in run.stderr


def test_a_file_that_may_not_become_larger_is_explained() -> None:
    told = explained(OSError(errno.EFBIG, os.strerror(errno.EFBIG), "model.onnx"))
    assert isinstance(told, DiskFull)
    assert "allows no larger file at model.onnx" in told.message
    assert "ulimit -f" in str(told.hint)


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from nlplug.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of a file")
@pytest.mark.parametrize("command", ["run", "run gz", "models pack", "plugins new"])
def test_a_command_that_cannot_write_leaves_what_was_there(command: str, tmp_path: Path) -> None:
    model = tiny_text_classifier(tmp_path / "model").path
    work = tmp_path / "work"
    work.mkdir()
    (work / "out.jsonl").write_text("old")
    # Each row is random, so that compression does not make them fit.
    chance = random.Random(1)
    rows = "".join(f"{chance.getrandbits(400):x}\n" for _ in range(400))
    (tmp_path / "in.txt").write_text(rows)
    arguments = {
        "run": ["--output", str(work / "out.jsonl")],
        "run gz": ["--output", str(work / "out.jsonl.gz")],
        "models pack": [
            "models",
            "pack",
            str(model),
            "--name=m",
            "--task=tone",
            "--force",
            f"--output={work}",
        ],
        "plugins new": ["plugins", "new", "mood", "--directory", str(work)],
    }[command]
    if command.startswith("run"):
        source = ["--model", str(model), "--input", str(tmp_path / "in.txt")]
        arguments = ["run", "sentiment", *source, *arguments]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, check=False
    )
    assert "no larger file" in done.stderr, done.stderr
    assert "report it" not in done.stderr
    assert done.returncode == 1
    kept = ["out.partial.jsonl"] if command == "run" else []
    assert sorted(path.name for path in work.iterdir()) == ["out.jsonl", *kept]
    for name in kept:
        lines = (work / name).read_text().splitlines()
        assert f"Rows answered before the error: {len(lines)}," in done.stderr
        assert all("label" in json.loads(line) for line in lines)
        assert lines
    assert (work / "out.jsonl").read_text() == "old"

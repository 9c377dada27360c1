"""A full disk is told as such, and never as a fault to report."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlplug.errors import DiskFull, explained


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
    assert explained(OSError(errno.EACCES, "no")) is None
    assert explained(ValueError()) is None

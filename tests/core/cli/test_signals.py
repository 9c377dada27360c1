"""SIGTERM and SIGHUP end a command as Ctrl-C does, and ``nohup`` keeps it running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from signals_kit import hung_up_by_default

from nlplug.testing import tiny_text_classifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
WAIT = 60
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts ``nlplug run``, which has answered rows of standard input and waits for more."""
    model = tiny_text_classifier(tmp_path / "model").path
    started: list[subprocess.Popen[str]] = []

    def run(*before: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "nlplug", "run", "sentiment", "--model", str(model)]
        process = subprocess.Popen(
            [*before, *command, "--input", "-", "--output", str(tmp_path / "work" / "out.jsonl")],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hung_up_by_default,
        )
        started.append(process)
        (tmp_path / "work").mkdir()
        assert process.stdin is not None
        process.stdin.write("a good film\n" * 5000)
        process.stdin.flush()
        while not any(path.stat().st_size for path in (tmp_path / "work").iterdir()):
            assert process.poll() is None
            threading.Event().wait(0.01)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_keeps_the_rows_that_were_answered(
    start: Start, tmp_path: Path, name: str
) -> None:
    number = getattr(signal, name)
    process = start()
    process.send_signal(number)
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(WAIT) == -number
    assert "Traceback" not in said
    assert os.listdir(tmp_path / "work") == ["out.partial.jsonl"]
    lines = (tmp_path / "work" / "out.partial.jsonl").read_text().splitlines()
    assert f"Rows answered before the error: {len(lines):,}," in said
    assert all("label" in json.loads(line) for line in lines)


def test_nohup_keeps_a_command_running(start: Start, tmp_path: Path) -> None:
    process = start("nohup")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert len((tmp_path / "work" / "out.jsonl").read_text().splitlines()) == 5000

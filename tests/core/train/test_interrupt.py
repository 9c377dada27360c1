"""A run that a signal stops: what is saved, what is said, and that it ends as if never stopped."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlplug.train.workspace import complete_checkpoints

pytestmark = pytest.mark.train

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tiny_bert: Path, toy_files: tuple[Path, Path], tmp_path: Path) -> Iterator[Start]:
    """Starts ``nlplug train`` in a process of its own; it is killed at the end of the test."""
    running: list[subprocess.Popen[str]] = []
    data, dev = map(str, toy_files)

    def run(*options: str, output: str = "out") -> subprocess.Popen[str]:
        words = ["nlplug", "train", "sentiment", "--base", str(tiny_bert), "--data", data]
        words += ["--eval", dev, "--output", str(tmp_path / output), "--labels", "bad,good"]
        words += ["--epochs", "30", "--batch-size", "8", "--learning-rate", "0.005"]
        words += ["--precisions", "fp32", "--device", "cpu", "--threads", "1"]
        words += ["--progress-seconds", "0.01", *options]
        process = nlplug(words)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def nlplug(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


def at_step(process: subprocess.Popen[str], step: int) -> None:
    """Read the progress lines until a step is reached."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Step ") and int(line.split()[1].replace(",", "")) >= step:
            return
    pytest.fail("the run ended before it could be stopped")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_resume_and_the_resumed_run_ends_the_same(
    start: Start, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    from safetensors.torch import load_file

    process = start()
    at_step(process, 20)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == code, errors
    assert "Traceback" not in errors
    saved = complete_checkpoints(tmp_path / "out.training")[-1]
    error, hint = errors.strip().splitlines()[-2:]
    step = saved.name.removeprefix("checkpoint-")
    assert (
        error
        == f"Error: The run was interrupted by {number.name}. Step {step} is saved in {saved}."
    )
    command = shlex.split(hint.removeprefix("Hint: Continue with: "))
    assert command[-1] == "--resume"
    assert not (tmp_path / "out").exists()

    words = command[command.index("train") :]
    resumed, whole = nlplug(["nlplug", *words]), start(output="whole")
    for process in (resumed, whole):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    first, second = (
        load_file(tmp_path / f"{name}.training" / "model" / "model.safetensors")
        for name in ("out", "whole")
    )
    assert all(bool((first[name] == second[name]).all()) for name in second)


def test_a_killed_run_loses_no_more_than_the_interval_of_the_checkpoints(
    start: Start, tmp_path: Path
) -> None:
    """Without any evaluation, only the clock saves checkpoints."""
    process = start("--save-minutes", "0.0001", "--eval-steps", "1000", "--epochs", "60")
    at_step(process, 30)
    deadline = time.monotonic() + 60
    while not complete_checkpoints(tmp_path / "out.training"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    saved = complete_checkpoints(tmp_path / "out.training")
    assert saved
    assert not any((path / "evaluated").exists() for path in saved)
    assert len(saved) <= 2  # a newer one replaces the one before it


def test_the_progress_line_has_loss_score_rate_and_remaining_time(start: Start) -> None:
    process = start("--epochs", "4")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = [line for line in errors.splitlines() if line.startswith("Step ")]
    first, *parts = lines[-1].split(", ")
    assert first == "Step 36 of 36"
    assert [part.split()[0] for part in parts[:2]] == ["loss", "accuracy"]
    assert parts[2].endswith(("steps/s", "s/step"))
    assert parts[3] == "0 s left"

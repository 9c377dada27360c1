"""A run that a signal stops: what is saved, what is said, and that it ends as if never stopped."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from signals_kit import hung_up_by_default

from nlplug.cli.main import main
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.extensions import Extensions
from nlplug.train.run import fine_tune, train
from nlplug.train.workspace import Workspace, complete_checkpoints

pytestmark = pytest.mark.train

Start = Callable[..., "subprocess.Popen[str]"]
Words = Callable[..., list[str]]


@pytest.fixture
def words(tiny_bert: Path, toy_files: tuple[Path, Path], tmp_path: Path) -> Words:
    """The words of ``nlplug train``, after the name of the program."""
    data, dev = map(str, toy_files)

    def make(*options: str, output: str = "out") -> list[str]:
        return [
            *("train", "sentiment", "--base", str(tiny_bert), "--data", data, "--eval", dev),
            *("--output", str(tmp_path / output), "--labels", "bad,good", "--epochs", "12"),
            *("--batch-size", "8", "--learning-rate", "0.005", "--precisions", "fp32"),
            *("--device", "cpu", "--threads", "1", "--progress-seconds", "0.01", *options),
        ]

    return make


@pytest.fixture
def start(words: Words) -> Iterator[Start]:
    """Starts ``nlplug train`` in a process of its own; it is killed at the end of the test."""
    running: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nlplug", *words(*options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
            preexec_fn=hung_up_by_default,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def in_this_process(command: list[str]) -> str:
    """Run a command to its end, and return what it wrote to standard error."""
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    return done.stderr


def at_step(process: subprocess.Popen[str], step: int) -> None:
    """Read the progress lines until a step is reached."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Step ") and int(line.split()[1].replace(",", "")) >= step:
            return
    pytest.fail("the run ended before it could be stopped")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.long),
    ],
)
def test_a_signal_saves_says_how_to_resume_and_the_resumed_run_ends_the_same(
    start: Start, words: Words, tmp_path: Path, number: signal.Signals, code: int
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
    assert f"The run was interrupted by {number.name}. Step {step} is saved in {saved}." in error
    command = shlex.split(hint.removeprefix("Hint: Continue with: "))
    assert command[-1] == "--resume"
    assert not (tmp_path / "out").exists()

    in_this_process(command[command.index("train") :])
    in_this_process(words(output="whole"))
    first, second = (
        load_file(tmp_path / f"{name}.training" / "model" / "model.safetensors")
        for name in ("out", "whole")
    )
    assert all(bool((first[name] == second[name]).all()) for name in second)


def test_a_second_run_in_the_same_folder_is_refused(
    start: Start, words: Words, tmp_path: Path
) -> None:
    process = start()
    at_step(process, 2)
    others = [CliRunner().invoke(main, words(*more)) for more in ([], ["--resume"])]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    place = tmp_path / "out.training"
    held = f"Error: Another process trains in {place}."
    for other in others:
        assert other.exit_code == 1
        assert held in other.stderr or "holds an unfinished run" in other.stderr
    assert complete_checkpoints(place), "the first run goes on"
    in_this_process(words("--resume"))


class Killed(Exception):
    """Stands for a kill: nothing is written after it."""


def test_a_killed_run_loses_no_more_than_the_interval_of_the_checkpoints(
    toy_task: Task, config: Callable[..., TrainConfig]
) -> None:
    """Without any evaluation, only the clock saves checkpoints."""
    from transformers import TrainerCallback

    settings = config(save_minutes=1e-9, eval_steps=1000)  # each step is too long
    folder = Workspace.of(settings).folder
    saved: list[Path] = []

    class Kill(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
            if state.global_step == 30:
                saved.extend(complete_checkpoints(folder))
                raise Killed

    with pytest.raises(Killed):
        train(toy_task, settings, Extensions(callbacks=[Kill()]))
    assert saved[-1].name == "checkpoint-29"
    assert len(saved) <= 2  # a newer one replaces the one before it
    assert complete_checkpoints(folder) == saved
    assert not any((path / "evaluated").exists() for path in saved)


def test_the_progress_line_has_loss_score_rate_and_remaining_time(words: Words) -> None:
    errors = in_this_process(words("--epochs", "4", "--allow-trivial"))
    lines = [line for line in errors.splitlines() if line.startswith("Step ")]
    first, *parts = lines[-1].split(", ")
    assert first == "Step 36 of 36"
    assert [part.split()[0] for part in parts[:2]] == ["loss", "accuracy"]
    assert parts[2].endswith(("steps/s", "s/step"))
    assert parts[3] == "0 s left"


def test_each_training_of_a_run_shows_its_progress(words: Words) -> None:
    command = words("--epochs", "2", "--seeds", "2", "--no-probe", "--allow-trivial")
    at = command.index("--eval")
    del command[at : at + 2]  # few rows: cross-validation
    lines = in_this_process(command).splitlines()
    names = [line.partition("tep ")[0] + "tep" for line in lines if line.endswith(" left")]
    assert list(dict.fromkeys(names)) == ["Cross-validation: step", "Step", "Seed 2: step"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_rewritten(
    toy_task: Task, config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    fine_tune(toy_task, config(epochs=2))
    *rewritten, last = screen.getvalue().split("\r\033[K")
    assert last.startswith("Step 18 of 18, loss ")
    assert last.endswith(" left\n")
    assert all("\n" not in line for line in rewritten if line.startswith("Step "))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (89, "89 s"), (200, "3 min"), (7500, "2 h 5 min")]
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    from nlplug.train.callbacks import duration

    assert duration(seconds) == shown

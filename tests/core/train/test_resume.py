"""A run that was killed goes on where its last whole checkpoint stood, and ends up the same."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nlplug.errors import OptionError, TrainingError
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.run import fine_tune
from nlplug.train.workspace import Workspace, complete_checkpoints

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]

# Kills itself, as the kernel would, when the third checkpoint is half on disk.
KILLED = """
import os, signal, sys
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
from nlplug.train.run import fine_tune
from nlplug.train.trainer import RecipeTrainer

class Dying(RecipeTrainer):
    def _save_rng_state(self, output_dir):
        if self.state.global_step >= 27:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._save_rng_state(output_dir)

import nlplug.train.loop
nlplug.train.loop.RecipeTrainer = Dying

class Toy(SequenceClassificationTask):
    name = title = description = "toy"

fine_tune(Toy(), SequenceClassificationConfig.model_validate_json(sys.argv[1]))
"""


@pytest.fixture
def killed(config: Make) -> TrainConfig:
    """Settings of a run that was killed during its third epoch of six."""
    settings = config()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, settings.model_dump_json(exclude_unset=True)],
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return settings


def test_a_killed_run_is_neither_thrown_away_nor_changed_and_ends_as_one_that_was_not(
    toy_task: Task, config: Make, killed: TrainConfig, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    folder = Workspace.of(killed).folder
    assert [path.name for path in complete_checkpoints(folder)] == ["checkpoint-9", "checkpoint-18"]
    assert (folder / "checkpoint-27").is_dir()  # half written, and so ignored
    assert not killed.output.exists()
    with pytest.raises(TrainingError, match=r"unfinished run \(checkpoint-18\)") as caught:
        fine_tune(toy_task, config())
    assert "--resume" in str(caught.value.hint)
    with pytest.raises(TrainingError, match=r"learning_rate was 0\.005, is 0\.1"):
        fine_tune(toy_task, config(resume=True, learning_rate=0.1))

    data = Path(killed.data[0])
    text = data.read_text()
    data.write_text(text + text.splitlines()[0])
    with pytest.raises(TrainingError, match=r"train\.jsonl has changed since the run in"):
        fine_tune(toy_task, config(resume=True))
    data.write_text(text)

    resumed = load_file(fine_tune(toy_task, config(resume=True)) / "model.safetensors")
    whole = load_file(fine_tune(toy_task, config(output=tmp_path / "w")) / "model.safetensors")
    assert all(bool((resumed[name] == whole[name]).all()) for name in whole)


def test_a_finished_run_is_not_trained_again(toy_task: Task, config: Make) -> None:
    folder = fine_tune(toy_task, config(epochs=1))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert fine_tune(toy_task, config(epochs=1, resume=True)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    data = Path(config().data[0])
    work = Workspace.of(config())
    assert work.digests()[str(data)] == hashlib.sha256(data.read_bytes()).hexdigest()
    data.write_text(data.read_text() * 2)
    with pytest.raises(TrainingError, match="has changed") as caught:
        fine_tune(toy_task, config(epochs=1, resume=True))
    assert "without --resume" in str(caught.value.hint)
    assert fine_tune(toy_task, config(epochs=1)) == folder


def test_an_even_run_may_become_longer_and_its_curve_stays(toy_task: Task, config: Make) -> None:
    even = {"schedule": "constant_with_warmup", "save_minutes": 1e-6}
    fine_tune(toy_task, config(epochs=1, **even))
    work = Workspace.of(config(epochs=1, **even))
    Workspace.open(config(epochs=2, resume=True, **even))
    with pytest.raises(TrainingError, match="seed was"):
        Workspace.open(config(epochs=2, resume=True, seed=99, **even))
    steps = [json.loads(line)["step"] for line in work.curve.read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 9


def test_a_checkpoint_is_saved_when_its_time_has_come(tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from nlplug.train.trainer import SaveByTime

    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    for minutes, expected in ((1e-9, True), (60.0, False)):
        control = TrainerControl()
        SaveByTime(minutes).on_step_end(args, TrainerState(), control)
        assert control.should_save is expected


def test_resuming_where_nothing_was_begun_starts_a_run(toy_task: Task, config: Make) -> None:
    assert (fine_tune(toy_task, config(epochs=1, resume=True)) / "config.json").is_file()


def test_a_work_folder_of_somebody_else_is_left_alone(toy_task: Task, config: Make) -> None:
    folder = Workspace.of(config()).folder
    folder.mkdir()
    (folder / "thesis.txt").write_text("all my work")
    with pytest.raises(TrainingError, match="is not the folder of a training run"):
        fine_tune(toy_task, config())
    assert (folder / "thesis.txt").read_text() == "all my work"


def without(settings: TrainConfig, name: str) -> TrainConfig:
    values = settings.model_dump(exclude_unset=True)
    return type(settings).model_validate({key: values[key] for key in values if key != name})


def test_a_run_of_minutes_ends_in_time(toy_task: Task, config: Make) -> None:
    settings = without(config(minutes=0.05, warmup=0.2, learning_rate=0.01), "epochs")
    begin = time.monotonic()
    fine_tune(toy_task, settings)
    assert time.monotonic() - begin < 30
    work = Workspace.of(settings)
    lines = map(json.loads, work.curve.read_text().splitlines())
    assert 0 < max(line.get("learning_rate", 0) for line in lines) <= 0.01
    written = tomllib.loads(work.settings_file.read_text())
    assert written["minutes"] == 0.05
    assert not {"epochs", "schedule"} & written.keys()  # so that the file repeats the run


def test_the_rate_of_a_run_of_minutes_rises_and_falls_with_its_time(tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from nlplug.train.timed import EndInTime

    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    state = TrainerState(global_step=7)
    (tmp_path / "checkpoint-7").mkdir()
    for spent, factor, over in (
        ("50", 0.5, False),
        ("100", 1.0, False),
        ("200", 1.0, False),
        ("450", 0.2, False),
        ("500", 0.0, True),
    ):
        (tmp_path / "checkpoint-7" / "minutes").write_text(spent)
        callback, control = EndInTime(500.0, 0.2), TrainerControl()
        callback.on_train_begin(args, state, control)
        assert callback.left == pytest.approx(60 * (500 - float(spent)), abs=60)
        assert callback.factor(7) == pytest.approx(factor, abs=0.01)
        callback.on_step_end(args, state, control)
        assert control.should_training_stop is over
        callback.on_save(args, state, control)
        assert float((tmp_path / "checkpoint-7" / "minutes").read_text()) >= float(spent)


def test_minutes_are_not_given_with_what_they_replace(toy_task: Task, config: Make) -> None:
    with pytest.raises(OptionError, match=r"minutes is 1, and epochs is 6\.0"):
        fine_tune(toy_task, config(minutes=1))
    cosine = without(config(minutes=1, schedule="cosine"), "epochs")
    with pytest.raises(OptionError, match="minutes is 1, and schedule is 'cosine'"):
        fine_tune(toy_task, cosine)

"""Training runs of a workspace: processes of their own, whose state is on the disk."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from training_kit import untrained_bert

from nlplug import Bundle, PluginHost, pipeline
from nlplug.errors import DataError, OptionError, TrainingError
from nlplug.workspace import DataSet, TrainingRun, WorkspaceFolder
from nlplug.workspace.trainings import plan

pytestmark = pytest.mark.train

TASK = PluginHost.discover().task("classification")
WORDS = {"billing": "invoice card money pay", "technical": "app page phone screen"}
ROWS = [
    {"text": f"the {word} is {state}", "label": label}
    for label, words in WORDS.items()
    for word in words.split()
    for state in ("wrong", "old", "here", "mine")
]
FAST = {"eval_share": 0.4, "batch_size": 4, "learning_rate": 0.005, "precisions": ["fp32"]}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    return str(untrained_bert(folder, [row["text"] for row in ROWS]))


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    workspace = WorkspaceFolder.open(tmp_path / "w", create=True)
    data = DataSet.create(workspace, "tickets", TASK)
    data.add(ROWS)
    return data


def workspace_of(data: DataSet) -> WorkspaceFolder:
    return WorkspaceFolder.open(data.folder.parent.parent)


def wait(run: TrainingRun, done: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not done():
        assert time.monotonic() < end, run.log()
        time.sleep(0.05)


def test_a_stopped_and_a_killed_run_go_on_and_become_a_model(data: DataSet, base: str) -> None:
    workspace = workspace_of(data)
    settings = {**FAST, "epochs": 60, "probe": False}
    run = TrainingRun.start(workspace, "first", data, TASK, base=base, settings=settings)
    assert run.state == "running"
    with pytest.raises(TrainingError, match="'first' is still running"):
        TrainingRun.start(workspace, "second", data, TASK, base=base, settings=settings)
    # Everything is read from the disk, as after a restart of what started it.
    run = TrainingRun.open(workspace, "first")
    wait(run, lambda: len(run.curve()) > 4 or run.state != "running")
    run.stop()
    assert run.stopping or run.state != "running"
    wait(run, lambda: run.state != "running")
    assert (run.state, run.code, run.stopping) == ("stopped", 143, False), run.log()
    run.resume()
    assert not run.stopping
    seen = len(run.curve())
    wait(run, lambda: len(run.curve()) > seen or run.state != "running")
    os.kill(int((run.folder / "pid").read_text()), signal.SIGKILL)
    wait(run, lambda: run.state != "running")
    assert (run.state, run.code) == ("stopped", None)
    TrainingRun.open(workspace, "first").resume()
    run = TrainingRun.open(workspace, "first")
    wait(run, lambda: run.state != "running")
    assert run.state == "finished", run.log()
    assert run.numbers()["task"] == "classification"
    with pipeline("classification", Bundle.open(run.model)) as pipe:
        assert pipe("my invoice is wrong")[0]["label"] == "billing"
    run.delete()
    assert TrainingRun.all(workspace) == []


def test_whoever_asks_for_the_state_does_not_change_it_for_others(data: DataSet) -> None:
    fcntl = pytest.importorskip("fcntl")
    run = TrainingRun(workspace_of(data), "ended", {})
    run.folder.mkdir()
    (run.folder / "lock").touch()
    with (run.folder / "lock").open("r+") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as another thread that asks at this moment
        assert run.state == "stopped"


def test_a_run_that_fails_says_why(data: DataSet, base: str) -> None:
    settings = {**FAST, "adapter": "lora", "freeze": "encoder"}  # refused before torch is imported
    run = TrainingRun.start(workspace_of(data), "mixed", data, TASK, base=base, settings=settings)
    wait(run, lambda: run.state != "running")
    assert (run.state, run.code) == ("failed", OptionError.exit_code), run.log()
    assert "Error: " in run.log()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [(ROWS[:16], "only the label 'billing'"), (ROWS[15:18], "fewer than 4 different texts")],
)
def test_rows_that_cannot_be_trained_on_start_no_run(
    data: DataSet, base: str, rows: list[dict[str, str]], reason: str
) -> None:
    few = DataSet.create(workspace_of(data), "few", TASK)
    few.add(rows)
    with pytest.raises(DataError, match=reason):
        TrainingRun.start(workspace_of(data), "refused", few, TASK, base=base)
    assert TrainingRun.all(workspace_of(data)) == []


def test_a_data_set_without_rows_is_named_as_such(data: DataSet, base: str) -> None:
    empty = DataSet.create(workspace_of(data), "empty", TASK)
    with pytest.raises(DataError, match=r"^The data set 'empty' has no labelled rows\.") as caught:
        plan(empty, TASK, base=base)
    assert caught.value.hint == "Import a file with answers, or label texts."


def test_effort_changes_the_number_of_epochs(data: DataSet, base: str) -> None:
    check, standard = plan(data, TASK, base=base)
    assert check.rows["train"] == len(ROWS)
    assert "epochs" not in standard
    epochs = [plan(data, TASK, base=base, effort=e)[1]["epochs"] for e in ("quick", "thorough")]
    assert epochs[0] < epochs[1]
    assert check.estimate


def test_settings_of_the_workspace_are_refused(data: DataSet) -> None:
    with pytest.raises(OptionError, match="'output' cannot be set here"):
        plan(data, TASK, settings={"output": "/tmp/x"})
    with pytest.raises(OptionError, match="no setting 'colour'"):
        plan(data, TASK, settings={"colour": "red"})
    with pytest.raises(OptionError, match="'huge' is not an effort"):
        plan(data, TASK, effort="huge")

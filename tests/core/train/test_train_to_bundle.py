"""`nlplug train`: from rows to a bundle that answers, and two clean lines where it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from toy_set import toy_rows, write_jsonl

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.errors import ModelNotFound, OptionError, TrainingError
from nlplug.models.bundle import Bundle
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.run import train

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.fixture
def options(tiny_bert: Path, toy_files: tuple[Path, Path], tmp_path: Path) -> list[str]:
    """A whole command line, after the task's name."""
    data, dev = map(str, toy_files)
    return [
        *("--base", str(tiny_bert), "--data", data, "--eval", dev),
        *("--output", str(tmp_path / "out"), "--labels", "negative,positive"),
        *("--epochs", "6", "--batch-size", "8", "--learning-rate", "0.005", "--precisions", "fp32"),
        *("--device", "cpu", "--threads", "1"),
    ]


@pytest.fixture
def toy_rows_file(tmp_path: Path) -> Path:
    """240 rows for the gate."""
    return write_jsonl(tmp_path / "test.jsonl", toy_rows(336)[96:])


def test_training_ends_with_a_bundle_that_answers(options: list[str], tmp_path: Path) -> None:
    done = run("sentiment", *options)
    assert done.exit_code == 0, done.output
    bundle = Bundle.open(tmp_path / "out", verify=True)
    assert bundle.labels == ["negative", "positive"]
    with pipeline("sentiment", bundle) as judge:
        labels = [answer["label"] for answer in judge(["so lovely", "a dull plot"])]
    assert labels == ["positive", "negative"]


def test_scales_are_chosen_on_training_rows(toy_task: Task, config: Make) -> None:
    from nlplug.data import read_rows

    settings = config(precisions=["fp32", "int8"], budget=1.0, contrast=1.0)
    output = train(toy_task, settings)
    manifest = Bundle.open(output).manifest
    assert manifest is not None
    found = manifest.metrics["quantization"]["calibration"]
    assert "calibration.jsonl.gz" in found["rows"]
    assert found["activations"] > 0
    used = list(read_rows(output.with_name("out.training") / "calibration.jsonl.gz"))
    known = {row.values["text"] for row in read_rows(Path(settings.data[0]))}
    assert {row.values["text"] for row in used} <= known


def test_held_out_rows_give_label_sets(options: list[str], toy_rows_file: Path) -> None:
    done = run("sentiment", *options, "--test", toy_rows_file)
    assert done.exit_code == 0, done.output
    output = options[options.index("--output") + 1]
    with pipeline("sentiment", output) as judge:
        assert judge("so lovely", coverage=0.9)[0]["label"] == "positive"
    few = run("sentiment", *options)
    assert few.exit_code == 0, few.output
    with (
        pipeline("sentiment", output) as judge,
        pytest.raises(OptionError, match="needs a record of held-out rows"),
    ):
        judge("so lovely", coverage=0.9)


def test_settings_may_stand_in_a_file_and_options_win(options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text('epochs = 1\nbatch_size = 6\nlabels = ["bad", "good"]\n')
    del options[options.index("--batch-size") : options.index("--batch-size") + 2]
    done = run("sentiment", "--config", file, *options)
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out.training" / "run.json").read_text())["config"]
    assert (record["epochs"], record["batch_size"]) == (6, 6)


def test_an_earlier_bundle_stays_where_a_new_run_fails(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    output = train(toy_task, config(precisions=["fp32"]))
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with pytest.raises(ModelNotFound):
        train(toy_task, config(base=str(tmp_path / "nowhere")))
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


def test_an_output_that_is_no_bundle_is_refused_before_training(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("all my work")
    with pytest.raises(TrainingError, match="holds no nlplug bundle"):
        train(toy_task, config())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert not (tmp_path / "out.training").exists()


def test_a_bad_row_is_two_lines_and_no_traceback(options: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\ngood film,1\nbad film,5\n")
    done = run("sentiment", *options, "--data", bad)
    lines = done.stderr.strip().splitlines()
    assert done.exit_code == 2
    assert lines[-2] == f"Error: {bad}:3: unknown label '5'."
    assert lines[-1].startswith("Hint: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Error: --data is not given."),
        (["--base", "b", "--data", "d.csv", "--output", "o", "--epochs", "-1"], "--epochs is -1.0"),
        (["--base", "b", "--data", "d.csv", "--output", "o"], "d.csv: no such file."),
        (["--config", "missing.toml"], "missing.toml: cannot be read"),
    ],
)
def test_a_wrong_command_line_is_an_error_with_a_hint(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("sentiment", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_does_not_exist_lists_those_that_do(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text("epocs = 3\nbase = 'b'\ndata = ['d']\noutput = 'o'\n")
    done = run("sentiment", "--config", file)
    assert "There is no setting 'epocs'" in done.stderr
    assert "epochs" in done.stderr


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text("epochs: 3\n")
    assert f"{file}: not TOML" in run("sentiment", "--config", file).stderr

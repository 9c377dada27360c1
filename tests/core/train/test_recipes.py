"""The steps that recipes of embedded models share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recipes import base_of, branched, embed, evaluated, mean, recipe_run, suited, write_rows

from nlplug.data import read_rows
from nlplug.errors import BundleIncomplete, DataError
from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.preflight.run import check_checkpoint
from nlplug.models.bundle import Bundle
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.run import train

pytestmark = pytest.mark.train

SETTINGS = """
labels = ["negative", "positive"]
epochs = 1
batch_size = 24
device = "cpu"
threads = 1
"""


def test_runs_from_one_end_are_averaged_and_not_repeated(
    toy_task: Task, toy_files: tuple[Path, Path], tiny_bert: Path, tmp_path: Path
) -> None:
    files = pytest.importorskip("safetensors.torch")
    for name, source in zip(
        ("first", "last", "watch"), (*toy_files[:1] * 2, toy_files[1]), strict=True
    ):
        (tmp_path / f"{name}.toml").write_text(SETTINGS)
        write_rows(tmp_path / f"{name}.jsonl.gz", (row.values for row in read_rows(source)))

    def run() -> Path:
        return branched(
            toy_task,
            files=tmp_path,
            settings=tmp_path,
            work=tmp_path / "work",
            base=str(tiny_bert),
            seeds=(1, 2),
            first={"seed": 5},
        )

    made = run()
    # The export reads the mean; the record of a single run would stop it.
    wanted = ExportConfig(source=made, output=tmp_path / "bundle", task=toy_task)
    check_checkpoint(load_checkpoint(made, toy_task), wanted)
    state = files.load_file(made / "model.safetensors")
    runs = [tmp_path / "work" / f"{name}.training" for name in ("first", "last-1", "last-2")]
    ends = [files.load_file(run / "model" / "model.safetensors") for run in runs[1:]]
    name = "classifier.weight"
    assert (ends[0][name] != ends[1][name]).any()
    assert (state[name] - (ends[0][name] + ends[1][name]) / 2).abs().max() < 1e-6
    begun = [json.loads((run / "run.json").read_text())["config"] for run in runs]
    assert [config["seed"] for config in begun] == [5, 1, 2]
    assert begun[1]["base"] == begun[2]["base"] == str(runs[0] / "model")
    times = [(run / "model" / "model.safetensors").stat().st_mtime_ns for run in runs]
    run()
    assert times == [(run / "model" / "model.safetensors").stat().st_mtime_ns for run in runs]


def test_a_bundle_is_embedded_whole_with_its_card(
    toy_task: Task, config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    labels = ["negative", "positive"]
    made = train(toy_task, config(labels=labels, precisions=["fp32"]))
    dev = tmp_path / "dev.jsonl"
    assert evaluated("sentiment", made, dev).report["rows"] == 24
    card = tmp_path / "card.md"
    card.write_text("# A toy\nIt is right in @ACCURACY@ of all cases. Size: @SIZE@.\n")
    embed(made, tmp_path / "inside", card, {"@ACCURACY@": "0.99"})
    bundle = Bundle.open(tmp_path / "inside", verify=True)
    assert bundle.labels == labels
    size = (bundle.path / "onnx" / "model.onnx").stat().st_size / 1e6
    text = (bundle.path / "README.md").read_text()
    assert f"right in 0.99 of all cases. Size: {size:.1f} MB in ONNX graphs, 0.0 MB tok" in text
    (made / "nlplug.json").unlink()
    with pytest.raises(BundleIncomplete):
        embed(made, tmp_path / "inside", card, {})


def test_a_recipe_is_told_where_the_data_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py"])
    monkeypatch.delenv("NLPLUG_DATA", raising=False)
    with pytest.raises(DataError, match="NLPLUG_DATA is not set"):
        recipe_run("Make it.", task="toy", output=tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["make.py", "--data", "sets", "--base", "some/model", "--checkpoint", "m"]
    )
    run = recipe_run("Make it.", task="toy", output=tmp_path)
    assert (run.data, run.base, run.output) == (Path("sets"), "some/model", tmp_path)
    assert run.checkpoint == Path("m")
    assert run.files == Path("models-work") / "toy" / "data"


def test_a_base_that_no_package_carries_is_an_id() -> None:
    assert base_of("owner/name", "no_such_package") == "owner/name"


def test_the_mean_of_checkpoints_is_that_of_their_numbers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    folders = []
    for number in (1.0, 5.0):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.save_file({"a": torch.full((2, 3), number)}, folder / "model.safetensors")
        (folder / "config.json").write_text(str(number))
        folders.append(folder)
    made = mean(folders, tmp_path / "mean")
    assert files.load_file(made / "model.safetensors")["a"].unique().tolist() == [3.0]
    assert (made / "config.json").read_text() == "5.0"
    made = mean(folders, tmp_path / "mean", weights=(0.25, 0.75))  # in place of the one before
    assert files.load_file(made / "model.safetensors")["a"].unique().tolist() == [4.0]


def test_the_mean_of_two_architectures_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    for name, size in (("one", 2), ("two", 3), ("mean", 4)):
        (tmp_path / name).mkdir()
        files.save_file({"a": torch.zeros(size)}, tmp_path / name / "model.safetensors")
    with pytest.raises(ValueError, match="another architecture"):
        mean([tmp_path / "one", tmp_path / "two"], tmp_path / "mean")
    assert len(files.load_file(tmp_path / "mean" / "model.safetensors")["a"]) == 4


def test_a_gpu_has_settings_of_its_own_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    one, other = tmp_path / "first.toml", tmp_path / "last.toml"
    (tmp_path / "first.gpu.toml").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [suited(one), suited(other)] == [tmp_path / "first.gpu.toml", other]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert suited(one) == one

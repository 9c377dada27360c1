"""Fine-tuning: it learns, repeats itself for a seed, stops early, and is tracked."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from toy_set import toy_rows, write_jsonl

from nlplug.errors import ModelNotFound, TrainingError
from nlplug.export.preflight.files import check_files
from nlplug.export.preflight.record import RECORD_FILE
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.run import fine_tune
from nlplug.train.workspace import Workspace

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]


def record(config: TrainConfig) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Workspace.of(config).folder / "run.json").read_text())
    return found


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def test_a_separable_set_is_learned(toy_task: Task, config: Make) -> None:
    fine_tune(toy_task, config())
    assert record(config())["scores"]["accuracy"] == 1.0


def test_the_result_is_a_checkpoint_that_transformers_loads(toy_task: Task, config: Make) -> None:
    from transformers import pipeline

    folder = str(fine_tune(toy_task, config()))
    judge = pipeline("text-classification", model=folder, device="cpu")
    assert [answer["label"] for answer in judge(["so lovely", "a dull plot"])] == ["good", "bad"]


def test_only_the_result_and_its_record_stay(toy_task: Task, config: Make) -> None:
    folder = fine_tune(toy_task, config(epochs=2)).parent
    assert {path.name for path in folder.iterdir()} == {
        "calibration.jsonl.gz",
        "check.json",
        "curve.jsonl",
        "eval.jsonl.gz",
        "model",
        "run.json",
        "settings.toml",
        "trial.json",
    }


def test_the_same_seed_gives_the_same_weights(toy_task: Task, config: Make, tmp_path: Path) -> None:
    one, two, other = (
        weights(fine_tune(toy_task, config(epochs=1, seed=seed, output=tmp_path / name)))
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    assert all(bool((one[name] == two[name]).all()) for name in one)
    assert any(bool((one[name] != other[name]).any()) for name in one)


def test_a_run_that_gets_no_better_is_stopped(toy_task: Task, config: Make) -> None:
    settings = config(epochs=50, patience=1, learning_rate=1e-9)
    fine_tune(toy_task, settings)
    assert record(settings)["steps"] == 2 * 9  # one evaluation to compare with, one too many


def test_the_best_checkpoint_is_the_result(toy_task: Task, config: Make) -> None:
    # At this rate the first epochs learn the set and the later ones cannot get better.
    settings = config(epochs=12, patience=3)
    fine_tune(toy_task, settings)
    assert record(settings)["scores"]["accuracy"] == 1.0
    assert record(settings)["steps"] < 12 * 9


def test_accumulation_makes_one_step_of_several_batches(toy_task: Task, config: Make) -> None:
    settings = config(epochs=1, accumulation=3)
    fine_tune(toy_task, settings)
    assert record(settings)["steps"] == 3


def test_a_frozen_encoder_keeps_its_weights(toy_task: Task, config: Make, tiny_bert: Path) -> None:
    before, after = weights(tiny_bert), weights(fine_tune(toy_task, config(freeze="encoder")))
    assert all(bool((before[name] == after[f"bert.{name}"]).all()) for name in before)


def test_frozen_layers_keep_their_weights_and_the_others_do_not(
    toy_task: Task, config: Make, tiny_bert: Path
) -> None:
    before = weights(tiny_bert)
    after = weights(fine_tune(toy_task, config(epochs=1, freeze_layers=1)))
    changed = {name for name in before if bool((before[name] != after[f"bert.{name}"]).any())}
    assert any(name.startswith("encoder.layer.1.") for name in changed)
    assert not any(name.startswith(("embeddings.", "encoder.layer.0.")) for name in changed)


def test_bfloat16_learns_too(toy_task: Task, config: Make) -> None:
    settings = config(bf16=True)
    fine_tune(toy_task, settings)
    assert record(settings)["scores"]["accuracy"] == 1.0


def test_a_model_of_bfloat16_is_saved_as_one_that_computes_in_float32(
    toy_task: Task, config: Make
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = fine_tune(toy_task, config(bf16=True, epochs=2))
    record = json.loads((folder / RECORD_FILE).read_text())
    saved = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = saved(torch.tensor(record["tokens"][:1])).logits[0].tolist()
    assert record["outputs"][0] == pytest.approx(logits, abs=1e-5)


def test_the_precision_of_a_run_is_its_own(
    toy_task: Task, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(fine_tune(toy_task, config(epochs=1)))
    half = weights(fine_tune(toy_task, config(epochs=1, bf16=True, output=tmp_path / "half")))
    after = weights(fine_tune(toy_task, config(epochs=1, output=tmp_path / "after")))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    set_before = weights(fine_tune(toy_task, config(epochs=1, output=tmp_path / "set")))

    assert any(bool((before[name] != half[name]).any()) for name in before)
    assert all(bool((before[name] == after[name]).all()) for name in before)
    assert all(bool((before[name] == set_before[name]).all()) for name in before)


def test_averaged_checkpoints_are_taken_where_they_are_no_worse(
    toy_task: Task, config: Make
) -> None:
    settings = config(average=2)
    fine_tune(toy_task, settings)
    assert record(settings)["scores"]["accuracy"] == 1.0


def test_tensorboard_gets_loss_and_scores_without_a_network(toy_task: Task, config: Make) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = config(epochs=3, report_to=["tensorboard"])
    fine_tune(toy_task, settings)
    events = EventAccumulator(str(Workspace.of(settings).folder / "tracking"))
    events.Reload()
    assert {"train/loss", "eval/accuracy", "eval/f1_macro"} <= set(events.Tags()["scalars"])


def test_texts_past_the_window_are_seen_in_whole(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    # The telling word stands at the end, far beyond the first window.
    rows = [
        {"text": " ".join([*["the film was"] * 12, *[word] * 20]), "label": label}
        for label, word in enumerate(("bad", "good"))
    ]
    path = write_jsonl(tmp_path / "long.jsonl", rows)
    settings = config(eval=[str(path)], max_length=12)
    fine_tune(toy_task, settings)
    assert record(settings)["scores"]["accuracy"] == 1.0


def test_several_labels_a_text_are_learned(toy_task: Task, config: Make, tmp_path: Path) -> None:
    named = {0: ["disliked", "slow"], 1: ["liked"]}
    rows = [{"text": row["text"], "labels": named[row["label"]]} for row in toy_rows(96)]
    path = write_jsonl(tmp_path / "multi.jsonl", rows)
    settings = config(data=[str(path)], eval=[str(path)], labels=[])
    folder = fine_tune(toy_task, settings)
    described = json.loads((folder / "config.json").read_text())
    assert described["id2label"] == {"0": "disliked", "1": "liked", "2": "slow"}
    assert described["problem_type"] == "multi_label_classification"
    assert record(settings)["scores"]["accuracy"] == 1.0


def test_without_evaluation_data_a_share_is_held_out(toy_task: Task, config: Make) -> None:
    settings = config(eval=[], eval_share=0.25, epochs=1)
    fine_tune(toy_task, settings)
    from nlplug.data import read_rows

    held = len(list(read_rows(Workspace.of(settings).eval_file)))
    assert 0 < held < 72


def test_a_base_out_of_reach_is_asked_for_once(
    toy_task: Task, config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ModelNotFound, match="cannot be reached"):
        fine_tune(toy_task, config(base="somebody/model"))
    assert not Workspace.of(config()).folder.exists()


def test_a_base_that_cannot_be_loaded_leaves_what_was_there(
    toy_task: Task, config: Make, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = Workspace.of(config()).folder
    without_weights = shutil.copytree(
        tiny_bert, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors")
    )
    with pytest.raises(TrainingError, match="cannot be loaded"):
        fine_tune(toy_task, config(base=str(without_weights)))
    assert not folder.exists()

    kept = fine_tune(toy_task, config(epochs=1))
    with pytest.raises(ModelNotFound, match="There is no folder .*nowhere"):
        fine_tune(toy_task, config(base=str(tmp_path / "nowhere")))
    assert (kept / "model.safetensors").is_file()


def test_the_files_of_a_base_are_checked_as_often_for_three_models_as_for_one(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    def checks(seeds: int) -> int:
        calls = 0

        def count(frame: FrameType, event: str, _: object) -> None:
            nonlocal calls
            calls += event == "call" and frame.f_code is check_files.__code__

        sys.setprofile(count)
        try:
            fine_tune(toy_task, config(epochs=1, seeds=seeds, output=tmp_path / str(seeds)))
        finally:
            sys.setprofile(None)
        return calls

    assert checks(1) == checks(3) == 1


def test_a_task_without_a_recipe_says_so(toy_task: Task, config: Make) -> None:
    class Untrainable(type(toy_task)):  # type: ignore[misc]
        name = "untrainable"
        family = replace(type(toy_task).family, name="untrained", training="")

    with pytest.raises(
        TrainingError, match="'untrained' of the task 'untrainable' has no training"
    ):
        fine_tune(Untrainable(), config(base=""))


def test_cuda_where_there_is_none_is_an_error(toy_task: Task, config: Make) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(TrainingError, match="No CUDA device"):
        fine_tune(toy_task, config(device="cuda"))

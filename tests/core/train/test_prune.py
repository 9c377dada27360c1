"""Pruned checkpoints are smaller models of the same architecture that can be trained again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy_set import toy_rows, write_jsonl

from nlplug.cli.main import main
from nlplug.data.formats import DataFile
from nlplug.errors import NlplugError, OptionError
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.prune import prune
from nlplug.train.run import fine_tune

pytestmark = pytest.mark.train


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "texts.jsonl", toy_rows(40))


def test_neurons_that_do_nothing_go_first(tiny_bert: Path, texts: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny_bert)
    with torch.no_grad():
        for layer in model.encoder.layer:  # every other neuron is silent
            layer.output.dense.weight[:, ::2] = 0
    model.save_pretrained(tmp_path / "silent")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "silent")
    folder = prune(str(tmp_path / "silent"), tmp_path / "pruned", DataFile(texts), keep=0.5)
    pruned = AutoModel.from_pretrained(folder)
    assert pruned.config.intermediate_size == 16
    assert pruned.encoder.layer[0].intermediate.dense.weight.shape == (16, 16)
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.inference_mode():
        found = [each.eval()(ids).last_hidden_state for each in (model, pruned)]
    assert torch.allclose(*found, atol=1e-5)


def test_a_pruned_checkpoint_keeps_its_head_and_is_trained_again(
    toy_task: Task, config: Callable[..., TrainConfig], texts: Path, tmp_path: Path
) -> None:
    whole = fine_tune(toy_task, config(output=tmp_path / "whole"))
    command = ["prune", str(whole), "--data", str(texts), "--keep", "0.25"]
    done = CliRunner().invoke(main, [*command, "--output", str(tmp_path / "pruned")])
    assert done.exit_code == 0, done.output
    values = json.loads((tmp_path / "pruned" / "config.json").read_text())
    assert values["intermediate_size"] == 8
    assert values["architectures"] == ["BertForSequenceClassification"]
    again = config(base=str(tmp_path / "pruned"), output=tmp_path / "again", epochs=2)
    assert fine_tune(toy_task, again).is_dir()


@pytest.mark.parametrize("keep", [0, 1, 1.5])
def test_a_share_out_of_bounds_is_refused(tiny_bert: Path, texts: Path, keep: float) -> None:
    with pytest.raises(OptionError, match="keep"):
        prune(str(tiny_bert), texts.with_name("out"), DataFile(texts), keep=keep)


def test_what_is_no_checkpoint_is_named(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NlplugError, match="empty"):
        prune(str(tmp_path / "empty"), tmp_path / "out", DataFile(texts), keep=0.5)
    assert not (tmp_path / "out").exists()

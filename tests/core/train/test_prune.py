"""Pruned checkpoints are smaller models of the same architecture that can be trained again."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy_set import toy_rows, write_jsonl

from nlplug.cli.main import main
from nlplug.data.formats import DataFile
from nlplug.errors import DataError, NlplugError, OptionError, TrainingError
from nlplug.models.bundle import Bundle
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.prune import prune
from nlplug.train.run import fine_tune, train

pytestmark = pytest.mark.train
FIVE = metadata.version("transformers").startswith("5.")


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


@pytest.mark.skipif(FIVE, reason="transformers 5 cannot remove heads")
def test_heads_that_do_nothing_go_first(tiny_bert: Path, texts: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny_bert)
    silent = (1, 0)  # of each layer
    with torch.no_grad():
        for layer, head in zip(model.encoder.layer, silent, strict=True):
            layer.attention.output.dense.weight[:, 8 * head : 8 * head + 8] = 0
    model.save_pretrained(tmp_path / "silent")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "silent")
    pruned = prune(
        str(tmp_path / "silent"), tmp_path / "out", DataFile(texts), keep=1, keep_heads=0.5
    )
    again = AutoModel.from_pretrained(pruned)
    assert again.config.pruned_heads == {0: [1], 1: [0]}
    assert again.encoder.layer[0].attention.self.query.weight.shape == (8, 16)
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.inference_mode():
        found = [each.eval()(ids).last_hidden_state for each in (model, again)]
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.skipif(FIVE, reason="transformers 5 cannot remove heads")
def test_heads_of_an_architecture_that_counts_them_elsewhere_are_refused(
    tiny_bert: Path, texts: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, MPNetConfig, MPNetModel

    shape = MPNetConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
    )
    MPNetModel(shape).save_pretrained(tmp_path / "mpnet")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "mpnet")
    with pytest.raises(TrainingError, match="mpnet"):
        prune(str(tmp_path / "mpnet"), tmp_path / "out", DataFile(texts), keep=1, keep_heads=0.5)
    assert not (tmp_path / "out").exists()


def test_a_pruned_checkpoint_is_trained_again_and_its_graph_is_fused(
    toy_task: Task, config: Callable[..., TrainConfig], texts: Path, tmp_path: Path
) -> None:
    whole = fine_tune(toy_task, config(output=tmp_path / "whole"))
    shares = ["--keep", "0.25", "--keep-heads", "1" if FIVE else "0.5"]
    command = ["prune", str(whole), "--data", str(texts), *shares]
    done = CliRunner().invoke(main, [*command, "--output", str(tmp_path / "pruned")])
    assert done.exit_code == 0, done.output
    values = json.loads((tmp_path / "pruned" / "config.json").read_text())
    assert values["intermediate_size"] == 8
    assert values["architectures"] == ["BertForSequenceClassification"]
    again = config(base=str(tmp_path / "pruned"), output=tmp_path / "again", epochs=2)
    bundle = Bundle.open(train(toy_task, again))
    assert "2 Attention" in bundle.manifest.metrics["graph"]
    assert [*bundle.manifest.precisions] == ["fp32", "int8"]


@pytest.mark.skipif(not FIVE, reason="transformers 4 can remove heads")
def test_heads_are_refused_with_transformers_5(
    tiny_bert: Path, texts: Path, tmp_path: Path
) -> None:
    from nlplug.export.pretrained import load_config

    with pytest.raises(TrainingError, match="transformers 5"):
        prune(str(tiny_bert), tmp_path / "out", DataFile(texts), keep=1, keep_heads=0.5)
    values = json.loads((tiny_bert / "config.json").read_text()) | {"pruned_heads": {"0": [1]}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="pruned"):
        load_config(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 1.5])
def test_a_share_out_of_bounds_is_refused(tiny_bert: Path, texts: Path, keep: float) -> None:
    with pytest.raises(OptionError, match="keep"):
        prune(str(tiny_bert), texts.with_name("out"), DataFile(texts), keep=keep)


@pytest.mark.skipif(FIVE, reason="transformers 5 cannot remove heads")
def test_an_export_tries_no_other_number_of_heads_where_some_are_removed() -> None:
    import numpy as np
    from transformers import BertConfig, BertModel

    from nlplug.export.preflight.alternatives import check_alternatives

    shape = BertConfig(
        vocab_size=8,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        pruned_heads={0: [3]},
    )
    assert check_alternatives(BertModel(shape), lambda model: np.zeros(4)) == []


def test_a_file_without_rows_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(DataError, match=r"none\.jsonl"):
        prune(str(tiny_bert), tmp_path / "out", DataFile(tmp_path / "none.jsonl"), keep=0.5)


def test_what_is_no_checkpoint_is_named(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NlplugError, match="empty"):
        prune(str(tmp_path / "empty"), tmp_path / "out", DataFile(texts), keep=0.5)
    assert not (tmp_path / "out").exists()

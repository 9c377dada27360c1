"""Configurations and weights are loaded without code, kernels or pickles of the checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nlplug.errors import ExportError
from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.pretrained import load_config, load_model
from nlplug.task import Task

pytestmark = pytest.mark.train

KERNEL = "someone/kernel"


@pytest.fixture
def hostile(random_bert: Path, tmp_path: Path) -> Path:
    """A checkpoint whose config.json names a repository with an attention kernel, which is code."""
    folder = tmp_path / "hostile"
    shutil.copytree(random_bert, folder)
    config = json.loads((folder / "config.json").read_bytes())
    config["_attn_implementation_internal"] = KERNEL
    config["_attn_implementation"] = KERNEL
    config["attn_implementation"] = KERNEL
    config["extra"] = {"parts": [{"_attn_implementation_internal": KERNEL, "size": 3}]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_keys_that_name_a_kernel_are_dropped_at_any_depth(hostile: Path) -> None:
    config = load_config(hostile)
    assert KERNEL not in repr(vars(config))
    assert config.extra == {"parts": [{"size": 3}]}


def test_transformers_itself_would_take_the_kernel(hostile: Path) -> None:
    from transformers import AutoConfig

    assert KERNEL in repr(vars(AutoConfig.from_pretrained(hostile)))


def test_export_loads_such_a_checkpoint_without_the_kernel(hostile: Path, toy_task: Task) -> None:
    model = load_checkpoint(hostile, toy_task).model
    assert model.config._attn_implementation == "sdpa"


def test_a_model_without_fused_attention_is_loaded_with_the_plain_one(
    make_checkpoint: Callable[..., Path],
) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = make_checkpoint("mpnet")
    model = load_model(AutoModelForSequenceClassification, folder, load_config(folder))
    assert model.config._attn_implementation == "eager"


def test_the_configuration_is_otherwise_that_of_transformers(random_bert: Path) -> None:
    from transformers import AutoConfig

    expected = AutoConfig.from_pretrained(random_bert, num_labels=3).to_dict()
    assert load_config(random_bert, num_labels=3).to_dict() == expected


def test_an_unknown_model_type_is_named(random_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "made-up"}', encoding="utf-8")
    with pytest.raises(ExportError, match="architecture 'made-up'"):
        load_config(tmp_path)


def test_pickled_weights_are_refused(random_bert: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    shutil.copy(random_bert / "config.json", tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_model(AutoModelForSequenceClassification, tmp_path, load_config(tmp_path))


def test_training_and_export_load_checkpoints_in_this_way_alone() -> None:
    core = Path(load_model.__code__.co_filename).parents[1]
    places = {
        str(path.relative_to(core))
        for path in core.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if ".from_pretrained(" in line and "Tokenizer" not in line and "`" not in line
    }
    assert places <= {"export/pretrained.py", "export/checkpoint.py"}

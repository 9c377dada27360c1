"""Configurations and weights are loaded without code, kernels or pickles of the checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stack_kit import TRANSFORMERS

from nlplug.errors import ExportError
from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.pretrained import load_config, load_model
from nlplug.task import Task
from nlplug.train.python import train

pytestmark = pytest.mark.train

KERNEL = "someone/kernel"
WORDS = {"positive": ("good film", "lovely plot"), "negative": ("bad film", "dull plot")}
CODE = "import pathlib\npathlib.Path({marker!r}).touch()\n"


@pytest.fixture
def hostile(random_bert: Path, tmp_path: Path) -> Path:
    """A checkpoint whose config.json names a repository with an attention kernel, which is code."""
    folder = tmp_path / "hostile"
    shutil.copytree(random_bert, folder)
    config = json.loads((folder / "config.json").read_bytes())
    config["_attn_implementation_internal"] = KERNEL
    config["_attn_implementation"] = KERNEL
    config["attn_implementation"] = KERNEL
    config["experts_implementation"] = config["_experts_implementation"] = KERNEL
    config["extra"] = {"parts": [{"_attn_implementation_internal": KERNEL, "size": 3}]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_keys_that_name_a_kernel_are_dropped_at_any_depth(hostile: Path) -> None:
    config = load_config(hostile)
    assert KERNEL not in repr(vars(config))
    assert config.extra == {"parts": [{"size": 3}]}


@pytest.mark.skipif(TRANSFORMERS >= 5, reason="transformers 5 drops the key by itself")
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


@pytest.fixture
def with_code(random_bert: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint with classes of its own, whose module writes a file when it is imported."""
    folder, marker = tmp_path / "with-code", tmp_path / "executed"
    shutil.copytree(random_bert, folder)
    for name in ("configuration_own", "modeling_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    names = {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForSequenceClassification": "modeling_own.OwnModel",
        "AutoTokenizer": ["tokenization_own.Own", "tokenization_own.OwnFast"],
    }
    for name in ("config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_bytes())
        (folder / name).write_text(json.dumps(values | {"auto_map": names}), encoding="utf-8")
    return folder, marker


def test_no_code_of_a_checkpoint_is_run_by_an_export(
    with_code: tuple[Path, Path], toy_task: Task
) -> None:
    folder, marker = with_code
    checkpoint = load_checkpoint(folder, toy_task)
    assert type(checkpoint.model).__module__.startswith("transformers.")
    assert type(checkpoint.tokenizer).__module__.startswith("transformers.")
    assert not marker.exists()


def test_no_code_of_a_checkpoint_is_run_by_a_training(
    with_code: tuple[Path, Path], toy_task: Task, tmp_path: Path
) -> None:
    folder, marker = with_code
    rows = [{"text": text, "label": label} for label, texts in WORDS.items() for text in texts]
    given: dict[str, Any] = {"eval": rows, "epochs": 1, "precisions": ["fp32"]}
    train(
        toy_task,
        rows,
        output=tmp_path / "out",
        base=str(folder),
        allow_trivial=True,
        **given,
    )
    assert not marker.exists()


def test_a_model_of_characters_is_refused(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    from transformers import CanineConfig, CanineForSequenceClassification

    shutil.copytree(random_bert, tmp_path, dirs_exist_ok=True)
    config = CanineConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_hash_buckets=64,
        id2label={0: "negative", 1: "positive"},
    )
    CanineForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ExportError, match="type 'canine' have no embeddings of tokens"):
        load_checkpoint(tmp_path, toy_task)


def test_quantized_weights_are_refused(random_bert: Path, tmp_path: Path) -> None:
    config = json.loads((random_bert / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": "fp8"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match="weights are quantized"):
        load_config(tmp_path)


def test_an_adapter_is_refused_before_its_base_is_looked_for(
    random_bert: Path, toy_task: Task, tmp_path: Path
) -> None:
    """transformers would load the weights of its base, and the adapter as a pickle."""
    folder = tmp_path / "adapter"
    shutil.copytree(random_bert, folder)
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "someone/else"}
    (folder / "adapter_config.json").write_text(json.dumps(adapter), encoding="utf-8")
    with pytest.raises(ExportError, match="is an adapter of another model"):
        load_checkpoint(folder, toy_task)


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


@pytest.mark.parametrize("model_type", ["mra", "yoso"])
def test_a_model_that_gets_compiled_code_by_itself_is_refused(
    model_type: str, random_bert: Path, tmp_path: Path, toy_task: Task
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(random_bert, folder)
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(values | {"model_type": model_type}), "utf-8")
    with pytest.raises(ExportError, match=f"'{model_type}' loads kernels"):
        load_checkpoint(folder, toy_task)

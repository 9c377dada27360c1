"""A checkpoint that is not whole is refused by name, before training, pruning and export."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlplug.data.formats import DataFile
from nlplug.errors import NlplugError
from nlplug.export.run import ExportConfig, export_model
from nlplug.task import Task
from nlplug.train.prune import prune
from nlplug.train.run import fine_tune

TOKENIZER = "tokenizer.json"


Damage = Callable[[Path], None]


def _put(name: str, text: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return damage


def _remove(*names: str) -> Damage:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def _set(**values: Any) -> Damage:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, **values}), encoding="utf-8")

    return damage


def _truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _without_vocabulary(folder: Path) -> None:
    values = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in values["added_tokens"]}
    values["model"]["vocab"] = special
    (folder / TOKENIZER).write_text(json.dumps(values), encoding="utf-8")


def _with_more_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove("config.json"), r"has no config\.json"),
        (_put("config.json", "[]"), r"config\.json \(2 bytes\) has no keys and values"),
        (_put("config.json", '{"model'), r"config\.json \(7 bytes\) is not valid JSON"),
        (_set(model_type=["bert"]), r"'bert'|config\.json"),
        (_set(hidden_dropout_prob="much"), "config.json"),
        (_set(max_position_embeddings=[32]), "config.json"),
        (_set(vocab_size=7), r"_embeddings\.weight"),
        (_set(num_hidden_layers=10**12), r"num_hidden_layers is 1000000000000 .* 39 tensors"),
        (_set(num_labels=10**12), r"num_labels is 1000000000000 .* dimensions up to 32"),
        (_set(hidden_size=10**10), r"hidden_size is 10000000000 .* dimensions up to"),
        (_set(num_hidden_layers=3), r"has no weights .*encoder\.layer\.2\."),
        (_put("tokenizer_config.json", "[]"), r"tokenizer_config\.json .* no keys and values"),
        (_put(TOKENIZER, "{}"), r"tokenizer\.json \(2 bytes\) is no tokenizer"),
        (_remove(TOKENIZER, "vocab.txt"), r"has no tokenizer \(tokenizer\.json\)"),
        (_without_vocabulary, "tokenizer has no vocabulary"),
        (_truncate, r"model\.safetensors is truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_checkpoint_is_refused_by_name(
    damage: Damage,
    message: str,
    toy_task: Task,
    tiny_bert: Path,
    config: Callable[..., Any],
    tmp_path: Path,
) -> None:
    base = shutil.copytree(tiny_bert, tmp_path / "base")
    damage(base)
    settings = config(base=str(base))
    with pytest.raises(NlplugError, match=message):
        fine_tune(toy_task, settings)
    with pytest.raises(NlplugError, match=message):
        prune(str(base), tmp_path / "pruned", DataFile(Path(settings.data[0])), keep=0.5)
    with pytest.raises(NlplugError, match=message):
        export_model(ExportConfig(base, tmp_path / "bundle", toy_task))
    assert not [path for path in tmp_path.iterdir() if path.name in ("out", "pruned", "bundle")]


def test_tokens_without_embeddings_are_found_before_the_first_step(
    toy_task: Task, tiny_bert: Path, config: Callable[..., Any], tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_bert, tmp_path / "base")
    _with_more_tokens(base)
    with pytest.raises(NlplugError, match="1 tokens whose ids are beyond .* 'zebra'"):
        fine_tune(toy_task, config(base=str(base)))

"""Damaged checkpoints for the acceptance suite of the gate, see docs/gate.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tensors = dict[str, Any]
Damage = Callable[[Path], None]

PROPERTY = "gate_case"
"""Name of the property of a test that has a line of the table: see tools/gate_cases.py."""

LAYER = "bert.encoder.layer.{}.{}"


@dataclass(frozen=True)
class Case:
    """One way to damage the checkpoint of a BERT classifier.

    Attributes:
        name: For the table.
        damage: Changes the files of the checkpoint.
        found: Regular expression that the error or the refusal must match.
        repaired: Precisions that must hold in the end; empty where the export must stop.
        record: Whether the checkpoint keeps its record.
        precisions: That are exported.
    """

    name: str
    damage: Damage
    found: str
    repaired: Sequence[str] = ()
    record: bool = False
    precisions: Sequence[str] = ("fp32", "int8")


def change_tensors(folder: Path, change: Callable[[Tensors], None]) -> None:
    """Change the tensors of a checkpoint in place."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def change_json(folder: Path, name: str, **values: Any) -> None:
    """Set entries of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values), encoding="utf-8")


def tensors(change: Callable[[Tensors], None]) -> Damage:
    """A damage to tensors."""
    return lambda folder: change_tensors(folder, change)


def config(**values: Any) -> Damage:
    """A damage to ``config.json``."""
    return lambda folder: change_json(folder, "config.json", **values)


def value_outliers(factor: float) -> Damage:
    """One channel of the values of each head is larger, and its reader smaller: the same model."""

    def change(found: Tensors) -> None:
        for layer in _layers(found):
            value = LAYER.format(layer, "attention.self.value.")
            size = len(found[f"{value}bias"])
            for channel in range(0, size, 8):
                found[f"{value}weight"][channel] *= factor
                found[f"{value}bias"][channel] *= factor
                found[LAYER.format(layer, "attention.output.dense.weight")][:, channel] /= factor

    return tensors(change)


def decoder_value_outliers(factor: float) -> Damage:
    """The same in every attention of Llama and Marian."""

    def change(found: Tensors) -> None:
        for name, value in found.items():
            if "v_proj." in name:
                value[::8] *= factor
            elif name.endswith(("o_proj.weight", "out_proj.weight")):
                value[:, ::8] /= factor

    return tensors(change)


def output_outliers(factor: float) -> Damage:
    """The other way round: the values are smaller, and the columns that read them larger."""
    return value_outliers(1 / factor)


def intermediate_outliers(factor: float) -> Damage:
    """Feed-forward channels that are always on, and cancel: large activations, the same answers."""

    def change(found: Tensors) -> None:
        for layer in _layers(found):
            up = LAYER.format(layer, "intermediate.dense.")
            down = LAYER.format(layer, "output.dense.weight")
            found[f"{up}weight"][0] = 0.0
            found[f"{up}bias"][0] = factor
            found[down][:, 0] = 0.0

    return tensors(change)


def norm_gains(factor: float) -> Damage:
    """Gains of the last norm that the pooler undoes: the same model."""

    def change(found: Tensors) -> None:
        last = _layers(found)[-1]
        norm = LAYER.format(last, "output.LayerNorm.")
        for channel in (3, 11):
            found[f"{norm}weight"][channel] *= factor
            found[f"{norm}bias"][channel] *= factor
            found["bert.pooler.dense.weight"][:, channel] /= factor

    return tensors(change)


def weight_outlier(factor: float) -> Damage:
    """Single large weights in all products, that read a channel which is always zero."""

    def change(found: Tensors) -> None:
        for layer in _layers(found):
            up = LAYER.format(layer, "intermediate.dense.")
            found[f"{up}weight"][0] = 0.0
            found[f"{up}bias"][0] = 0.0
            found[LAYER.format(layer, "output.dense.weight")][:, 0] = factor

    return tensors(change)


def row_of(token: int, value: float) -> Damage:
    """One row of the embeddings is this number."""

    def change(found: Tensors) -> None:
        found["bert.embeddings.word_embeddings.weight"][token] = value

    return tensors(change)


def scale_row(token: int, factor: float) -> Damage:
    """One row of the embeddings is larger."""

    def change(found: Tensors) -> None:
        found["bert.embeddings.word_embeddings.weight"][token] *= factor

    return tensors(change)


def set_tensor(name: str, value: float) -> Damage:
    """All numbers of a tensor are the same."""

    def change(found: Tensors) -> None:
        found[name][:] = value

    return tensors(change)


def zero_rows(name: str, rows: slice) -> Damage:
    """Some rows of a matrix have only zeros."""

    def change(found: Tensors) -> None:
        found[name][rows] = 0.0

    return tensors(change)


def transposed(*parts: str) -> Damage:
    """Some square weights of both layers are the other way round."""

    def change(found: Tensors) -> None:
        for layer in _layers(found):
            for part in parts:
                name = LAYER.format(layer, f"{part}.weight")
                found[name] = found[name].T.contiguous()

    return tensors(change)


def repeated_layer(found: Tensors) -> None:
    """The second layer has the weights of the first one."""
    first, second = LAYER.format(0, ""), LAYER.format(1, "")
    for name in [name for name in found if name.startswith(first)]:
        found[name.replace(first, second)] = found[name].clone()


def integers(name: str) -> Damage:
    """A weight is stored as int8, without the scale that it was quantized with."""

    def change(found: Tensors) -> None:
        import torch

        found[name] = (found[name] / found[name].abs().max() * 127).round().to(torch.int8)

    return tensors(change)


def drop_tensor(name: str) -> Damage:
    """A tensor is missing."""

    def change(found: Tensors) -> None:
        del found[name]

    return tensors(change)


def shuffled_vocabulary(folder: Path) -> None:
    """The words of the vocabulary have other ids; special tokens keep theirs."""
    import random

    path = folder / "tokenizer.json"
    values = json.loads(path.read_bytes())
    vocabulary = values["model"]["vocab"]
    words = [word for word in vocabulary if not word.startswith("[")]
    ids = [vocabulary[word] for word in words]
    random.Random(0).shuffle(ids)
    vocabulary.update(zip(words, ids, strict=True))
    path.write_text(json.dumps(values), encoding="utf-8")


def without(name: str, damage: Damage) -> Damage:
    """A damage, and a file less."""

    def change(folder: Path) -> None:
        damage(folder)
        (folder / name).unlink()

    return change


def cased(folder: Path) -> None:
    """The tokenizer no longer lower-cases, in both of its files."""
    change_json(folder, "tokenizer_config.json", do_lower_case=False)
    values = json.loads((folder / "tokenizer.json").read_bytes())
    values["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")


def capitals(folder: Path) -> None:
    """The words of the vocabulary have capital letters, and the tokenizer lower-cases texts."""
    values = json.loads((folder / "tokenizer.json").read_bytes())
    words = values["model"]["vocab"]
    values["model"]["vocab"] = {
        word if word.startswith("[") else word.capitalize(): at for word, at in words.items()
    }
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "vocab.txt").unlink()


def added_token(folder: Path) -> None:
    """The tokenizer has a token that the embeddings do not have."""
    values = json.loads((folder / "tokenizer.json").read_bytes())
    values["model"]["vocab"]["film"] = 999
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "vocab.txt").unlink()


def truncated(name: str) -> Damage:
    """Half of a file."""

    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return change


def _layers(found: Tensors) -> list[int]:
    prefix = LAYER.partition("{")[0]
    return sorted({int(name[len(prefix) :].split(".")[0]) for name in found if prefix in name})


def raw_values(factor: float) -> Damage:
    """One channel of the values in each layer is larger, and nothing undoes it: another model."""

    def change(found: Tensors) -> None:
        for layer in _layers(found):
            for part in ("weight", "bias"):
                found[LAYER.format(layer, f"attention.self.value.{part}")][5] *= factor

    return tensors(change)


def raw_gains(factor: float) -> Damage:
    """The gain of one channel of each norm is larger, and nothing undoes it: another model."""

    def change(found: Tensors) -> None:
        for name, value in found.items():
            if name.endswith("LayerNorm.weight"):
                value[7] *= factor

    return tensors(change)

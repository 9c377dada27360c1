"""Tensors that a configuration ties to each other, but that have different values in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlplug.export.preflight.files import weight_files
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.extras import require


def check_tied(folder: Path, model: Any) -> list[CheckpointFinding]:
    """Compare the stored tensors that the model has only once.

    Args:
        folder: The folder of the checkpoint.
        model: The loaded model.
    """
    table = model.get_input_embeddings()
    if table is None:
        return []
    parameters = model.named_parameters(remove_duplicate=False)
    stored = _stored(folder, {name for name, value in parameters if value is table.weight})
    first = next(iter(stored), "")
    return [
        CheckpointFinding(
            "tensors",
            f"config.json ties {name} to {first} (tie_word_embeddings), but {folder.name} has "
            "different values for the two, and only one of them would be used.",
            "Set tie_word_embeddings to false in config.json, or remove the tensor that the "
            "model was not trained with.",
        )
        for name in list(stored)[1:]
        if not stored[first].equal(stored[name])
    ]


def _stored(folder: Path, names: set[str]) -> dict[str, Any]:
    safe_open = require("safetensors", "train", purpose="Export").safe_open
    found = {}
    for path in weight_files(folder):
        with safe_open(str(path), framework="pt") as file:
            for name in sorted(names.intersection(file.keys())):
                found[name] = file.get_tensor(name)
    return found

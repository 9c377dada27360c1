"""The files of a checkpoint: are they complete, and do tensors and configuration fit each other?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from nlplug.errors import ExportError, ModelNotFound
from nlplug.export.preflight.counts import check_counts
from nlplug.export.preflight.findings import CheckpointFinding, stop_if_fatal
from nlplug.export.pretrained import check_reachable, untrained_model
from nlplug.extras import require
from nlplug.json_text import parse_json
from nlplug.models.layout import (
    ADDED_TOKENS_FILE,
    CONFIG_FILE,
    GENERATION_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
)

Shapes = Mapping[str, tuple[int, ...]]

_INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
_OBJECTS = (
    CONFIG_FILE,
    GENERATION_CONFIG_FILE,
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
)
"""Files of keys and values; other JSON files may hold lists."""
_NUMBER = re.compile(r"\.\d+\.")
_LENGTH = 8
_LARGEST_HEADER = 100_000_000
_AGAIN = "Copy or download the checkpoint again, or save it again with save_pretrained()."
_INTEGERS = ("I", "U", "BOOL")
_LARGEST_EPSILON = 1e-3
_COUNTS = (
    "hidden_size",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "vocab_size",
)
_EPSILONS = ("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps")
_ACTIVATIONS = ("hidden_act", "activation", "activation_function", "hidden_activation")


def check_source(name: str, allowed: tuple[str, ...] | None = None) -> None:
    """Check that a checkpoint is there and that its files can be read, before anything is loaded.

    Args:
        name: A folder or a Hub id.
        allowed: Names of checks that must not stop an export; None where nothing is exported.

    Raises:
        ModelNotFound: There is no such folder, and no such repository within reach.
        ExportError: The folder has no configuration, or a file is truncated or unreadable.
    """
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute() or name.count("/") > 1 or name.startswith("."):
            raise ModelNotFound(f"There is no folder {name}.", hint="Check the path.")
        check_reachable(name)
        return
    if not (folder / CONFIG_FILE).is_file():
        raise ExportError(
            f"{folder} has no {CONFIG_FILE}.",
            hint="Give the folder of a checkpoint saved by nlplug train or save_pretrained().",
        )
    stop_if_fatal(check_files(folder), allowed, name)


def check_fit(
    config: Any, auto_class: Any, folder: Path | None, name: str, allowed: tuple[str, ...]
) -> None:
    """Check a configuration, and whether the tensors of a folder fit it.

    Args:
        config: A ``transformers.PretrainedConfig``.
        auto_class: The class of transformers that loads the model.
        folder: The folder of the checkpoint; None for a model of the Hub.
        name: Name of the checkpoint.
        allowed: Names of checks that must not stop the export.

    Raises:
        ExportError: They do not fit.
    """
    found = check_config(config)
    if folder is not None and not found:
        found = check_sizes(config, auto_class, shapes_of(folder), types_of(folder))
    stop_if_fatal(found, allowed, name)


def check_files(folder: Path) -> list[CheckpointFinding]:
    """Truncated or unreadable files of a checkpoint folder, and numbers in its configuration that
    the weights cannot have; without reading the weights."""
    found = [*_json_problems(folder), *_index_problems(folder)]
    for path in weight_files(folder):
        problem = _problem(path)
        if problem:
            found.append(CheckpointFinding("files", f"{path.name} {problem}.", _AGAIN))
    config = folder / CONFIG_FILE
    if not found and config.is_file():
        return check_counts(parse_json(config.read_bytes()), shapes_of(folder))
    return found


def _index_problems(folder: Path) -> Iterator[CheckpointFinding]:
    """What transformers reads of the list of parts, and is not there."""
    index = folder / _INDEX
    if (folder / _WEIGHTS).exists() or not index.is_file():
        return
    try:
        values = parse_json(index.read_bytes())
    except ValueError:
        return  # among the problems of JSON files
    entries = values if isinstance(values, dict) else {}
    for key in ("metadata", "weight_map"):
        if not isinstance(entries.get(key), dict):
            yield CheckpointFinding("files", f"{_INDEX} has no {key}.", _AGAIN)
            return
    for name, part in entries["weight_map"].items():
        if not isinstance(part, str) or Path(part).name != part:
            message = f"{_INDEX} has {part!r} as the file of {name}, which is not in the folder"
            yield CheckpointFinding("files", f"{message}.", _AGAIN)
            return


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: one, or the parts that its index lists."""
    index = folder / _INDEX
    if (folder / _WEIGHTS).exists() or not index.is_file():
        return [path for path in [folder / _WEIGHTS] if path.exists()]
    try:
        parts = set(json.loads(index.read_bytes())["weight_map"].values())
        return [folder / name for name in sorted(parts)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def shapes_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a checkpoint, from the headers of complete files."""
    return {name: tuple(entry["shape"]) for name, entry in _entries(folder)}


def types_of(folder: Path) -> dict[str, str]:
    """The type of the numbers of each tensor, as safetensors names it: ``F32``, ``I8``."""
    return {name: str(entry["dtype"]) for name, entry in _entries(folder)}


def _entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in weight_files(folder):
        yield from ((name, one) for name, one in _header(path).items() if name != "__metadata__")


def _is_size(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether it is a number above 0, or a list of such: some architectures have one per layer."""
    values = value if isinstance(value, list) and kinds == (int,) else [value]
    return bool(values) and all(type(one) in kinds and one > 0 for one in values)


def check_config(config: Any) -> list[CheckpointFinding]:
    """Values of a configuration that no model works with.

    Args:
        config: A ``transformers.PretrainedConfig``.
    """
    activations = require("transformers.activations", "train", purpose="Export").ACT2FN
    found = [
        CheckpointFinding(
            "config",
            f"{name} is {value!r} in config.json, which is not a number above 0.",
            f"Set {name} to the number that the model was trained with.",
        )
        for names, kinds in ((_COUNTS, (int,)), (_EPSILONS, (int, float)))
        for name in names
        if (value := getattr(config, name, None)) is not None and not _is_size(value, kinds)
    ]
    if found:
        return found
    hidden, heads = (_number(config, name) for name in ("hidden_size", "num_attention_heads"))
    own_size = _number(config, "head_dim") or _number(config, "d_kv")
    if hidden and heads and not own_size and hidden % heads:
        found.append(
            CheckpointFinding(
                "config",
                f"num_attention_heads is {heads} in config.json, which does not divide "
                f"hidden_size {hidden}.",
                "Set num_attention_heads to the number that the model was trained with.",
            )
        )
    for name in _EPSILONS:
        value = getattr(config, name, None)
        if value is not None and value > _LARGEST_EPSILON:
            found.append(
                CheckpointFinding(
                    "config",
                    f"{name} is {value:g} in config.json; layer norms use 1e-12 to 1e-5.",
                    f"Set {name} to the value that the model was trained with.",
                )
            )
    for name in _ACTIVATIONS:
        value = getattr(config, name, None)
        if isinstance(value, str) and value not in activations:
            found.append(
                CheckpointFinding(
                    "config",
                    f"{name} is {value!r} in config.json, and there is no such activation.",
                    f"Set {name} to the function that the model was trained with, such as gelu.",
                )
            )
    return found


def check_sizes(
    config: Any, auto_class: Any, shapes: Shapes, types: Mapping[str, str]
) -> list[CheckpointFinding]:
    """Tensors whose shapes are not those of the configuration, and integers in place of weights.

    Args:
        config: The configuration, without findings of `check_config`.
        auto_class: The class of transformers that loads the model.
        shapes: From `shapes_of`.
        types: From `types_of`.
    """
    torch = require("torch", "train", purpose="Export")
    try:
        with torch.device("meta"):
            model = untrained_model(auto_class, config)
    except Exception:  # loading the checkpoint reports it
        return []
    prefix = f"{model.base_model_prefix}."
    found = []
    for name, wanted in model.state_dict().items():
        stored = name if name in shapes else name.removeprefix(prefix)
        given, kind = shapes.get(stored), types.get(stored, "")
        expected = tuple(wanted.shape)
        if wanted.is_floating_point() and kind.startswith(_INTEGERS):
            found.append(
                CheckpointFinding(
                    "tensors",
                    f"{name} is stored as integers ({kind}), which are not its weights: the "
                    "scales that they were quantized with are missing.",
                    "Give the checkpoint before it was quantized, or save it again as float.",
                )
            )
        if given is not None and given != expected:
            reason = _reason(config, expected, given)
            found.append(
                CheckpointFinding(
                    "sizes",
                    f"{name} has the shape {_shape(given)}, but config.json asks for "
                    f"{_shape(expected)}{reason}.",
                    "Labels (id2label, num_labels) and sizes in config.json must be those of the "
                    "weights.",
                )
            )
    return found


def check_unread(model: Any, unread: Collection[str]) -> list[CheckpointFinding]:
    """Tensors of layers that the file has and the loaded model does not.

    Args:
        model: The loaded model.
        unread: Names of the tensors of the file that the model has no place for; those of other
            heads are normal.
    """
    known = {_NUMBER.sub(".#.", name) for name in model.state_dict()}
    layers = [name for name in sorted(unread) if _NUMBER.sub(".#.", name) in known]
    if not layers:
        return []
    count = getattr(model.config, "num_hidden_layers", None)
    return [
        CheckpointFinding(
            "sizes",
            f"The file has {len(layers)} tensors of layers that the model does not have, such as "
            f"{layers[0]}: num_hidden_layers is {count} in config.json.",
            "Set the number of layers to that of the file.",
        )
    ]


def _json_problems(folder: Path) -> Iterator[CheckpointFinding]:
    for path in sorted(folder.glob("*.json")):
        size = path.stat().st_size
        problem = ""
        try:
            if not isinstance(parse_json(path.read_bytes()), dict) and path.name in _OBJECTS:
                problem = "has no keys and values"
            if not problem and path.name == TOKENIZER_FILE:
                Tokenizer.from_file(str(path))
        except ValueError as error:
            problem = f"is not valid JSON: {error}"
        except Exception as error:  # the only class of errors that `tokenizers` has
            problem = f"is no tokenizer: {error}"
        if problem:
            yield CheckpointFinding("files", f"{path.name} ({size:,} bytes) {problem}.", _AGAIN)


def _problem(path: Path) -> str:
    """What is wrong with a safetensors file; empty if its length is that of its header."""
    if not path.is_file():
        return f"is missing, but {_INDEX} lists it"
    size = path.stat().st_size
    try:
        header = _header(path)
        length = _header_length(path)
        entries = [entry for name, entry in header.items() if name[:2] != "__"]
        read = [(one["data_offsets"][1], one["dtype"], math.prod(one["shape"])) for one in entries]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return f"({size:,} bytes) has no readable header: it is truncated or no safetensors file"
    whole = _LENGTH + length + max((end for end, *_ in read), default=0)
    if size < whole:
        last = max(header, key=lambda name: header[name].get("data_offsets", [0, 0])[1])
        return f"is truncated: it has {size:,} of {whole:,} bytes, and the end of {last} is missing"
    return ""


def _header_length(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(_LENGTH), "little")


def _header(path: Path) -> dict[str, Any]:
    length = _header_length(path)
    if not 2 <= length <= _LARGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    with path.open("rb") as file:
        file.seek(_LENGTH)
        header: dict[str, Any] = json.loads(file.read(length))
    return header


def _reason(config: Any, expected: tuple[int, ...], given: tuple[int, ...]) -> str:
    """The settings that have the unfitting size."""
    pairs = [(one, two) for one, two in zip(expected, given, strict=False) if one != two]
    general = require("transformers", "train", purpose="Export").PretrainedConfig().to_dict()
    values = {key: value for key, value in config.to_dict().items() if key not in general}
    values["num_labels"] = len(getattr(config, "id2label", None) or ())
    named = [
        f"{key} is {value}, the tensor has {two}"
        for one, two in pairs
        for key, value in values.items()
        if type(value) is int and value == one and not key.endswith("_id")
    ]
    return f" ({'; '.join(named[:2])})" if named else ""


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"


def _number(config: Any, name: str) -> int:
    value = getattr(config, name, None)
    return value if type(value) is int else 0

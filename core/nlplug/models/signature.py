"""What an ONNX graph declares, and how it quantizes, read from its file without a session.

Only the headers of the protobuf fields are read, and the weights are skipped, so a file of 100 MB
takes a few milliseconds. Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nlplug.errors import BundleError
from nlplug.models.encryption import decrypted, is_encrypted
from nlplug.models.protobuf import Buffer, fields, inner, read_as_graph, string, text

_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}
# Before this version of the format, weights are listed among the inputs too.
_WEIGHTS_ARE_NO_INPUTS = 4
_LARGEST = 2**31
_VOCABULARY = 2000
"""With at least this many logits per token, the graph is a language model and not a classifier."""

_SCALES_BY_BATCH = frozenset(
    {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"}
)

_TO_PROBABILITIES = frozenset({"Softmax", "Sigmoid"})
_SAME_VALUES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class TensorInfo:
    """One declared input or output.

    Attributes:
        type: Its element type, named as numpy names it.
        shape: Its axes: the size, or None where the size is free; None for an unknown rank.
    """

    type: str = "int64"
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class Signature:
    """What a graph declares.

    Attributes:
        inputs: By name, in the graph's order.
        outputs: Likewise.
        source: Its file, for error messages.
        scales_by_batch: Whether it quantizes activations with one scale for the whole batch, so
            that the result of a row depends on the other rows.
        probabilities: The outputs that are results of a softmax or a sigmoid.
        unused: The inputs that no operator reads.
    """

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    source: str = "the graph"
    scales_by_batch: bool = False
    probabilities: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()

    @classmethod
    def of_names(cls, inputs: Iterable[str], outputs: Iterable[str] = ()) -> Signature:
        """Int64 inputs and float32 outputs of any shape."""
        return cls(
            {name: TensorInfo() for name in inputs},
            {name: TensorInfo("float32") for name in outputs},
        )

    @classmethod
    def read(cls, path: Path) -> Signature:
        """Read the signature of an ``.onnx`` file.

        Raises:
            BundleError: The file is missing, is not an ONNX graph, or is encrypted and the key is
                missing or wrong.
        """
        with read_as_graph(path):
            state = path.stat()
            contents = _read_file(path, state.st_mtime_ns, state.st_size)
        return cls(
            contents.inputs,
            contents.outputs,
            str(path),
            contents.by_batch,
            contents.probabilities,
            contents.unused,
        )

    @property
    def task(self) -> str:
        """What the graph is for, as far as its inputs and outputs tell; empty where they do not."""
        if any(name.startswith(("cross.", "encoder_hidden_states")) for name in self.inputs):
            return "text-to-text generation"
        if any(name.startswith("past_key_values") for name in self.inputs):
            return "text generation"
        if {"start_logits", "end_logits"} <= self.outputs.keys():
            return "question answering"
        if "logits" not in self.outputs:
            return "embeddings" if "last_hidden_state" in self.outputs else ""
        shape = self.outputs["logits"].shape or ()
        if len(shape) == 3 and shape[-1] is not None and shape[-1] < _VOCABULARY:
            return "token classification"
        return "text classification" if len(shape) == 2 else ""

    def for_another_task(self, reason: str) -> BundleError:
        """The error that the graph is for another task than the one asked; names its own."""
        return BundleError(
            f"The graph {self.source} is for another task"
            f"{f', {self.task}' if self.task else ''}: {reason}.",
            hint="Use a model that was trained for this task, or call the task of the model.",
        )

    def fixed(self, axis: int) -> set[int]:
        """The sizes that inputs of shape (rows, tokens) fix for an axis."""
        shapes = (info.shape for info in self.inputs.values())
        sizes = {shape[axis] for shape in shapes if shape is not None and len(shape) == 2}
        return {size for size in sizes if size is not None}


def weights_outside(names: Iterable[str], folder: Path) -> set[str]:
    """The files that the graphs of a folder keep weights in, by any name.

    Args:
        names: Files of the folder; those that are no graphs, or encrypted, name none.
        folder: The folder.
    """
    return {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), place))
        for name in names
        if name.endswith(".onnx") and not is_encrypted(folder / name)
        for place in _places_of_weights(folder / name)
    }


def _places_of_weights(path: Path) -> set[str]:
    found = set()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for entry in inner(data, 0, len(data), 7, 5, 13):
                if text(data, *entry, 1) == "location":
                    found.add(text(data, *entry, 2))
    except (ValueError, IndexError):  # `Signature.read` names the file
        return set()
    return found


class _Contents(NamedTuple):
    """What is read from a file; see `Signature`."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    by_batch: bool
    probabilities: frozenset[str]
    unused: frozenset[str]


@lru_cache(maxsize=64)
def _read_file(path: Path, modified: int, size: int) -> _Contents:
    """The signature of a file in one state; the state is part of the key of the cache."""
    if is_encrypted(path):
        return _read(decrypted(path))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _read(data)


def _read(data: Buffer) -> _Contents:
    version, graph = 0, None
    for number, begin, end in fields(data, 0, len(data)):
        if number == 1:
            version = begin
        elif number == 7:
            graph = begin, end
    if graph is None:
        raise ValueError("it holds no graph")
    inputs: dict[str, TensorInfo] = {}
    outputs: dict[str, TensorInfo] = {}
    weights: list[tuple[int, int]] = []
    for number, begin, end in fields(data, *graph):
        if number == 5:
            weights.append((begin, end))
        elif number in (11, 12):
            name, info = _value(data, begin, end)
            (inputs if number == 11 else outputs)[name] = info
    if version < _WEIGHTS_ARE_NO_INPUTS:
        for begin, end in weights:
            inputs.pop(text(data, begin, end, 8), None)
    if not inputs or not outputs:
        raise ValueError("it has no inputs or no outputs")
    operators, unused = set(), set(inputs)
    for node in _nodes(data, *graph):
        operators.add(text(data, *node, 4))
        if unused:
            unused -= {string(data, *name) for name in inner(data, *node, 1)}
    by_batch = not operators.isdisjoint(_SCALES_BY_BATCH)
    found = _probabilities(data, *graph, outputs)
    return _Contents(inputs, outputs, by_batch, found, frozenset(unused))


def _probabilities(data: Buffer, begin: int, end: int, outputs: Iterable[str]) -> frozenset[str]:
    """Those of the outputs that an operator of `_TO_PROBABILITIES` computes."""
    wanted = {name: name for name in outputs}
    found = set()
    for node in reversed(list(inner(data, begin, end, 1))):  # they are in the order of the run
        output = wanted.get(text(data, *node, 2))
        if output is None:
            continue
        operator = text(data, *node, 4)
        if operator in _TO_PROBABILITIES:
            found.add(output)
        elif operator in _SAME_VALUES:
            wanted[text(data, *node, 1)] = output
    return frozenset(found)


def _nodes(data: Buffer, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The nodes of a ``GraphProto``, with those of its branches."""
    for node in inner(data, begin, end, 1):
        yield node
        for number in (6, 11):  # a graph, or several, as the value of an attribute
            for graph in inner(data, *node, 5, number):
                yield from _nodes(data, *graph)


def _value(data: Buffer, begin: int, end: int) -> tuple[str, TensorInfo]:
    """One ``ValueInfoProto``: its name, and the type and shape of its tensor."""
    kind: str = "unknown"
    shape: tuple[int | None, ...] | None = None
    for tensor in inner(data, begin, end, 2, 1):
        for number, first, last in fields(data, *tensor):
            if number == 1:
                kind = _TYPES.get(first, f"type {first}")
            elif number == 2:
                shape = tuple(_size(data, *axis) for axis in inner(data, first, last, 1))
    return text(data, begin, end, 1), TensorInfo(kind, shape)


def _size(data: Buffer, begin: int, end: int) -> int | None:
    sizes = (value for number, value, _ in fields(data, begin, end) if number == 1)
    return next((size for size in sizes if 0 < size < _LARGEST), None)  # -1 is written for "free"

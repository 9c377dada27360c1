"""The nodes of an ONNX graph, and parts of it as graphs of their own; without the package onnx.

Format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from nlplug.models.encryption import decrypted, is_encrypted
from nlplug.models.protobuf import (
    Buffer,
    fields,
    inner,
    message,
    packed,
    read_as_graph,
    text,
    whole_fields,
    whole_number,
)

_GRAPH = 7
_NODE, _WEIGHT, _INPUT, _OUTPUT = 1, 5, 11, 12
_NAMED = {_WEIGHT: 8, _INPUT: 1}
"""Parts of a graph with a name, and the number of the field that holds the name."""
_BRANCH, _BRANCHES = 6, 11
_INT = 2
"""The type of an attribute that is a whole number."""
_TYPE, _RAW, _ELSEWHERE, _PLACE = 2, 9, 13, 14
"""Parts of a weight: its type, its content, the entries that name the file of its content."""
_OF_BYTES = frozenset({2, 3})
"""The types uint8 and int8, which may begin at any address."""
_LARGE = 1 << 16
"""Bytes of a weight from which it is mapped."""


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes:
        op: Its operator.
        domain: The set that the operator belongs to; empty for ONNX's own.
        inputs: The names of its inputs; empty for an optional one that is left out.
        outputs: The names of its outputs.
        content: The node as it is in the file.
        captured: The names that its branches read from the graph around them.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: bytes
    domain: str = ""
    captured: frozenset[str] = frozenset()

    @classmethod
    def made(cls, op: str, inputs: Sequence[str], output: str, attribute: bytes = b"") -> Node:
        """A new node of ONNX's own operators.

        Args:
            op: The operator.
            inputs: Names of values.
            output: The name of its output.
            attribute: An attribute as a field of the node.
        """
        names = [message(1, name.encode()) for name in inputs]
        content = b"".join(
            [*names, message(2, output.encode()), message(4, op.encode()), attribute]
        )
        return cls(op, tuple(inputs), (output,), content)

    def input(self, number: int) -> str:
        """The name of an input; empty if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else ""

    def number(self, name: str, default: float) -> float:
        """The value of an attribute that is a number."""
        found = self._attribute(name)
        for number, begin, end in fields(found, 0, len(found)):
            if number == 2:
                return float(struct.unpack("<f", found[begin:end])[0])
            if number == 3:
                return float(begin)
        return default

    def numbers(self, name: str) -> tuple[int, ...]:
        """The value of an attribute that is a list of whole numbers; empty if it is left out."""
        found, values = self._attribute(name), list[int]()
        for number, begin, end in fields(found, 0, len(found)):
            if number == 8:  # one value, or several of them packed
                values += [begin] if begin == end else packed(found, begin, end)
        return tuple(values)

    def copy(self, outputs: Sequence[str], **attributes: int) -> Node:
        """The same node with other outputs, no name, and more attributes."""
        kept = [
            self.content[begin:end]
            for number, begin, end in whole_fields(self.content, 0, len(self.content))
            if number not in (2, 3)
        ]
        kept += [message(2, name.encode()) for name in outputs]
        kept += [
            message(5, message(1, name.encode()) + whole_number(3, value) + whole_number(20, _INT))
            for name, value in attributes.items()
        ]
        return replace(self, outputs=tuple(outputs), content=b"".join(kept))

    def renamed(self, op: str, inputs: Sequence[str]) -> Node:
        """The same node with another operator of the same set, and other inputs."""
        kept = [
            self.content[begin:end]
            for number, begin, end in whole_fields(self.content, 0, len(self.content))
            if number not in (1, 4)
        ]
        kept += [message(1, name.encode()) for name in inputs]
        content = b"".join([*kept, message(4, op.encode())])
        return replace(self, op=op, inputs=tuple(inputs), content=content)

    def _attribute(self, name: str) -> bytes:
        for begin, end in inner(self.content, 0, len(self.content), 5):
            if text(self.content, begin, end, 1) == name:
                return self.content[begin:end]
        return b""


@dataclass(frozen=True)
class Graph:
    """The nodes of a graph.

    Attributes:
        path: Its file.
        nodes: In the order of the file, in which each follows those whose outputs it reads.
        weights: The names of its weights.
        inputs: The names of its inputs, without weights.
    """

    path: Path
    nodes: tuple[Node, ...]
    weights: frozenset[str]
    inputs: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Graph:
        """Read the nodes of a file; the weights are skipped.

        Raises:
            BundleError: It is not an ONNX graph, or is encrypted and the key is missing or wrong.
        """
        with read_as_graph(path), _opened(path) as data:
            nodes, weights, inputs = [], [], []
            for graph in inner(data, 0, len(data), _GRAPH):
                for number, begin, end in fields(data, *graph):
                    if number == _NODE:
                        nodes.append(_node(bytes(data[begin:end])))
                    elif number == _WEIGHT:
                        weights.append(text(data, begin, end, 8))
                    elif number == _INPUT:
                        inputs.append(text(data, begin, end, 1))
        known = frozenset(weights)
        return cls(path, tuple(nodes), known, tuple(name for name in inputs if name not in known))

    @cached_property
    def constants(self) -> frozenset[str]:
        """The names of weights, and of values that are computed from weights only."""
        found = set(self.weights)
        for node in self.nodes:
            if found.issuperset(filter(None, node.inputs)) and found >= node.captured:
                found.update(node.outputs)
        return frozenset(found)

    def part(self, outputs: Iterable[str], added: Sequence[Node] = ()) -> bytes:
        """The nodes and weights that some values depend on, as a model with these outputs.

        Weights that are in another file stay there.

        Args:
            outputs: Names of values or weights of the graph, or outputs of ``added``.
            added: More nodes, which read values of the graph.
        """
        outputs = list(dict.fromkeys(outputs))
        needed, kept = set(outputs), []
        for node in reversed((*self.nodes, *added)):
            if needed.intersection(filter(None, node.outputs)):
                kept.append(node)
                needed.update(node.inputs, node.captured)
        with _opened(self.path) as data:
            rest = [
                message(number, bytes(data[begin:end]))
                for graph in inner(data, 0, len(data), _GRAPH)
                for number, begin, end in fields(data, *graph)
                if number in _NAMED and text(data, begin, end, _NAMED[number]) in needed
            ]
            whole = whole_fields(data, 0, len(data))
            model = [bytes(data[begin:end]) for number, begin, end in whole if number != _GRAPH]
        nodes = [message(_NODE, node.content) for node in reversed(kept)]
        named = [message(_OUTPUT, message(1, name.encode())) for name in outputs]
        content = b"".join([*nodes, message(2, b"part"), *rest, *named])
        return b"".join([*model, message(_GRAPH, content)])

    def with_nodes(self, nodes: Iterable[Node]) -> bytes:
        """The model with other nodes; weights that are in another file stay there."""
        made = b"".join(message(_NODE, node.content) for node in nodes)
        model = list[bytes]()
        with _opened(self.path) as data:
            for number, begin, end in whole_fields(data, 0, len(data)):
                if number != _GRAPH:
                    model.append(bytes(data[begin:end]))
                    continue
                [(_, first, last)] = fields(data, begin, end)
                rest = [
                    bytes(data[start:after])
                    for part, start, after in whole_fields(data, first, last)
                    if part != _NODE
                ]
                model.append(message(_GRAPH, b"".join([made, *rest])))
        return b"".join(model)


def with_mapped_weights(path: Path) -> bytes | None:
    """A graph whose large int8 weights stay in its file, where the system reads what is touched.

    ONNX Runtime maps weights that are outside a graph into memory, and copies those inside. So
    this graph names its own file as that of its weights.

    Args:
        path: The ``.onnx`` file, without links, in whose folder ONNX Runtime looks for weights.

    Returns:
        The graph; None if it has no such weights.

    Raises:
        OSError, ValueError, IndexError: The file cannot be read as a graph.
    """
    with _opened(path) as data:
        mapped = {
            start: part
            for graph in inner(data, 0, len(data), _GRAPH)
            for number, start, after in whole_fields(data, *graph)
            if number == _WEIGHT and (part := _mapped(data, start, after, path.name))
        }
        if not mapped:
            return None
        model = list[bytes]()
        for number, begin, end in whole_fields(data, 0, len(data)):
            if number != _GRAPH:
                model.append(data[begin:end])
                continue
            [(_, first, last)] = fields(data, begin, end)
            parts = [
                mapped.get(start) or data[start:after]
                for _, start, after in whole_fields(data, first, last)
            ]
            model.append(message(_GRAPH, b"".join(parts)))
    return b"".join(model)


def _mapped(data: Buffer, begin: int, end: int, file: str) -> bytes | None:
    """A weight whose content stays at its place in the file; None if it is to be copied."""
    if end - begin < _LARGE:
        return None
    [(_, first, last)] = fields(data, begin, end)
    kept, content, kind = list[bytes](), (0, 0), 0
    for (number, start, after), (_, low, high) in zip(
        whole_fields(data, first, last), fields(data, first, last), strict=True
    ):
        if number == _RAW:
            content = low, high
            continue
        kind = low if number == _TYPE else kind
        kept.append(data[start:after])
    low, high = content
    if kind not in _OF_BYTES or high - low < _LARGE:
        return None
    entries = {"location": file, "offset": str(low), "length": str(high - low)}
    kept += [
        message(_ELSEWHERE, message(1, key.encode()) + message(2, value.encode()))
        for key, value in entries.items()
    ]
    return message(_WEIGHT, b"".join([*kept, whole_number(_PLACE, 1)]))


def _node(content: bytes) -> Node:
    def names(number: int) -> tuple[str, ...]:
        spans = inner(content, 0, len(content), number)
        return tuple(content[begin:end].decode("utf-8", "replace") for begin, end in spans)

    captured: set[str] = set()
    for number in (_BRANCH, _BRANCHES):
        for begin, end in inner(content, 0, len(content), 5, number):
            for first, last in inner(content, begin, end, _NODE):
                node = _node(content[first:last])
                captured.update(node.inputs, node.captured)
    op, domain = (text(content, 0, len(content), number) for number in (4, 7))
    return Node(op, names(1), names(2), content, domain, frozenset(captured))


@contextmanager
def _opened(path: Path) -> Iterator[Buffer]:
    """The content of a file."""
    if is_encrypted(path):
        yield decrypted(path)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data

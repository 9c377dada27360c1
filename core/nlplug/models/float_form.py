"""An int8 graph with its products in float32, for devices without kernels for the int8 ones.

ONNX Runtime's CUDA provider has no kernel for most operators of a quantized graph. It runs them on
the CPU and copies their inputs and outputs, which is slower than either device alone. The weights
stay int8 in the graph: ONNX Runtime computes constants once, when it loads a graph.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from nlplug.models.graph import Graph, Node
from nlplug.models.protobuf import message, whole_number

_FLOAT = 1
"""The type float32 of ONNX."""
_INT, _TENSOR = 2, 4
"""Types of attributes."""
_CONTRIBUTED = "com.microsoft"
_DYNAMIC = (_CONTRIBUTED, "DynamicQuantizeMatMul")
_INTEGER = ("", "MatMulInteger")
# By operator: the positions of the scale of the matrix, its zero point and the bias; -1 for none.
_PRODUCTS = {
    (_CONTRIBUTED, "MatMulIntegerToFloat"): (3, 5, 6),
    _DYNAMIC: (2, 3, 4),
    _INTEGER: (-1, 3, -1),
}
_ATTENTION = (_CONTRIBUTED, "QAttention")
_PAST = 8
_QUANTIZE = frozenset({("", "QuantizeLinear"), ("", "DynamicQuantizeLinear")})


def in_float(path: Path) -> bytes | None:
    """The graph of a file with products and attention in float32.

    Activations are not rounded any more, so answers are nearer to those of the model before it was
    quantized.

    Args:
        path: The ``.onnx`` file.

    Returns:
        The graph, whose weights may be in other files; None if it has nothing to change.

    Raises:
        BundleError: It is not an ONNX graph, or is encrypted and the key is missing or wrong.
    """
    graph = Graph.read(path)
    form = _FloatForm(graph)
    nodes = list(form.nodes())
    return graph.with_nodes(nodes) if form.changed else None


class _FloatForm:
    """Rewrites the nodes of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._nodes, self._weights = graph.nodes, graph.weights
        self._readers = defaultdict[str, list[Node]](list)
        for node in graph.nodes:
            for name in {*node.inputs, *node.captured}:
                self._readers[name].append(node)
        self._quantized = {
            node.outputs[0]: node for node in graph.nodes if _kind(node) in _QUANTIZE
        }
        # Values that only products read, and what they were before they were quantized.
        self._plain = {
            name: node.input(0)
            for name, node in self._quantized.items()
            if all(self._fits(reader) for reader in self._readers[name])
        }
        self._made: dict[str, str] = {}
        self.changed = False

    def nodes(self) -> Iterator[Node]:
        """The nodes in an order in which each follows those it reads."""
        for node in self._nodes:
            kind = _kind(node)
            if kind in _QUANTIZE and node.outputs[0] in self._plain:
                yield from _scale_of_one(node)
            elif kind == _DYNAMIC or (node.input(0) in self._plain and kind in _PRODUCTS):
                self.changed = True
                yield from self._product(node)
            elif node.input(0) in self._plain:
                self.changed = True
                yield from self._attention(node)
            else:
                yield node

    def _fits(self, node: Node) -> bool:
        """Whether a node that reads a quantized value can read the value itself."""
        kind = _kind(node)
        if node.input(1) not in self._weights:  # the value may be the other factor
            return False
        if kind == _INTEGER:
            # What follows multiplies by the scale, which is 1 for a value that is not quantized.
            scaled = self._quantized[node.input(0)].op == "DynamicQuantizeLinear"
            return scaled and all(after.op == "Cast" for after in self._readers[node.outputs[0]])
        return kind in _PRODUCTS or (kind == _ATTENTION and not node.input(_PAST))

    def _product(self, node: Node) -> Iterator[Node]:
        scale, zero, bias = _PRODUCTS[_kind(node)]
        yield from self._matrix(node, scale, zero)
        left = self._plain.get(node.input(0), node.input(0))
        output, added = node.outputs[0], _input(node, bias)
        product = f"{output}_product" if added else output
        yield Node.made("MatMul", (left, self._made[node.input(1)]), product)
        if added:
            yield Node.made("Add", (product, added), output)

    def _attention(self, node: Node) -> Iterator[Node]:
        yield from self._matrix(node, 4, 7)
        inputs = [self._plain[node.input(0)], self._made[node.input(1)], node.input(2)]
        yield node.renamed("Attention", [*inputs, node.input(5)] if node.input(5) else inputs)

    def _matrix(self, node: Node, scale: int, zero: int) -> Iterator[Node]:
        """The nodes that make the second input in float32, once for each matrix."""
        name = node.input(1)
        if name in self._made:
            return
        value, *others = (f"in_float/{part}/{name}" for part in ("cast", "zero", "moved", "scaled"))
        yield _cast(name, value)
        if node.input(zero):
            yield _cast(node.input(zero), others[0])
            yield Node.made("Sub", (value, others[0]), others[1])
            value = others[1]
        if factor := _input(node, scale):
            yield Node.made("Mul", (value, factor), others[2])
            value = others[2]
        self._made[name] = value


def _kind(node: Node) -> tuple[str, str]:
    return node.domain, node.op


def _input(node: Node, number: int) -> str:
    return node.input(number) if number >= 0 else ""


def _scale_of_one(node: Node) -> Iterator[Node]:
    """What is left of a quantization: its scale, which later nodes multiply by."""
    if node.op == "DynamicQuantizeLinear" and len(node.outputs) > 1:
        one = whole_number(2, _FLOAT) + message(9, struct.pack("<f", 1))
        value = message(1, b"value") + message(5, one) + whole_number(20, _TENSOR)
        yield Node.made("Constant", (), node.outputs[1], message(5, value))


def _cast(value: str, output: str) -> Node:
    kind = message(1, b"to") + whole_number(3, _FLOAT) + whole_number(20, _INT)
    return Node.made("Cast", (value,), output, message(5, kind))

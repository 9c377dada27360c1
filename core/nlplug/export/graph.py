"""Editing an ONNX graph: look up weights and producers, replace nodes, remove unused parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""

# Operators between a model's last product and its outputs: a question-answering head splits one
# product into two outputs.
_LAYOUT = frozenset(
    {"Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)


class GraphEditor:
    """Edits a model whose nodes are in topological order.

    Args:
        model: The ``onnx.ModelProto``, changed in place.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._uses: Counter[str] = Counter()
        self._producers: dict[str, Any] = {}
        self._index()

    @property
    def nodes(self) -> list[Any]:
        """The nodes, in topological order."""
        return list(self.model.graph.node)

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        return frozenset(value.name for value in self.model.graph.output)

    def weight(self, name: str) -> np.ndarray | None:
        """The constant of this name, or None when the value is computed or an input."""
        tensor = self._weights.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def producer(self, name: str) -> Any | None:
        """The node that computes a value."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[Any]:
        """The nodes of the main graph that read a value."""
        return [node for node in self.model.graph.node if name in node.input]

    def uses(self, name: str) -> int:
        """Number of nodes and graph outputs that read a value."""
        return self._uses[name]

    def last_products(self) -> frozenset[str]:
        """Names of the outputs of the products that compute the graph's outputs.

        Only a bias and changes of layout are between such a product and an output.
        """
        found = set()
        names = list(self.outputs)
        while names:
            node = self.producer(names.pop())
            if node is None:
                continue
            if node.op_type in ("MatMul", "Gemm"):
                found.add(node.output[0])
            elif node.op_type in _LAYOUT:
                names.append(node.input[0])
            elif node.op_type == "Add":
                computed = [name for name in node.input if self.weight(name) is None]
                names.extend(computed if len(computed) == 1 else [])
        return frozenset(found)

    def add_weight(self, name: str, array: np.ndarray) -> str:
        """Store a constant, unless there is one of this name; returns its name."""
        if name not in self._weights:
            # Not ascontiguousarray: it would give a scalar an axis.
            tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
            self.model.graph.initializer.append(tensor)
            self._weights[name] = self.model.graph.initializer[-1]
        return name

    def set_weight(self, name: str, array: np.ndarray) -> None:
        """Replace the values of a constant."""
        self._weights[name].CopyFrom(numpy_helper.from_array(np.asarray(array, order="C"), name))

    def rewrite(self, change: Callable[[Any], Iterable[Any] | None]) -> int:
        """Replace nodes.

        Args:
            change: Returns the replacement of a node, or None to keep it.

        Returns:
            The number of replaced nodes.
        """
        count = 0
        nodes: list[Any] = []
        for node in self.nodes:
            replacement = change(node)
            if replacement is None:
                nodes.append(node)
            else:
                nodes.extend(replacement)
                count += 1
        if count:
            del self.model.graph.node[:]
            self.model.graph.node.extend(nodes)
            self._drop_dead_nodes()
            self._index()
        return count

    def finish(self) -> Any:
        """Remove unused constants, shapes and opsets; returns the model."""
        graph = self.model.graph
        self.rewrite(self._store_constant)
        kept = [tensor for tensor in graph.initializer if self._uses[tensor.name]]
        if len(kept) < len(graph.initializer):
            kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
            del graph.initializer[:]
            graph.initializer.extend(kept)
        # Shapes inferred for the old nodes can be wrong for the new ones.
        del graph.value_info[:]
        domains = {node.domain for node in graph.node} | {""}
        opsets = {item.domain: item.version for item in self.model.opset_import}
        opsets.setdefault(MICROSOFT, 1)
        del self.model.opset_import[:]
        self.model.opset_import.extend(
            helper.make_opsetid(domain, version)
            for domain, version in sorted(opsets.items())
            if domain in domains
        )
        return self.model

    def _store_constant(self, node: Any) -> list[Any] | None:
        value = attributes(node).get("value") if node.op_type == "Constant" else None
        if value is None or node.output[0] in self.outputs:
            return None
        self.add_weight(node.output[0], numpy_helper.to_array(value))
        return []

    def _index(self) -> None:
        self._uses = Counter(self.outputs)
        self._producers = {}
        for node in self.model.graph.node:
            self._uses.update(_reads(node))
            self._producers.update((name, node) for name in node.output if name)

    def _drop_dead_nodes(self) -> None:
        """Remove nodes whose outputs are not read."""
        needed = set(self.outputs)
        kept: list[Any] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(_reads(node))
        if len(kept) < len(self.model.graph.node):
            del self.model.graph.node[:]
            self.model.graph.node.extend(reversed(kept))


def _reads(node: Any) -> Iterator[str]:
    """The values that a node and its subgraphs read."""
    yield from (name for name in node.input if name)
    for item in node.attribute:
        for graph in (item.g, *item.graphs):
            for inner in graph.node:
                yield from _reads(inner)
            yield from (value.name for value in graph.output)


def attributes(node: Any) -> dict[str, Any]:
    """The attributes of a node as Python values."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def histogram(model: Any) -> dict[str, int]:
    """Number of nodes of each operator, most frequent first."""
    return dict(Counter(node.op_type for node in model.graph.node).most_common())

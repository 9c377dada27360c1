"""Finds the attention weights in a graph and reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from nlplug.errors import BundleError
from nlplug.inside.formulas import (
    Values,
    attention,
    multi_head_attention,
    quantized_attention,
)
from nlplug.inside.part import GraphPart
from nlplug.models.graph import Graph, Node

if TYPE_CHECKING:
    from pathlib import Path

_FORMULAS: Mapping[str, Callable[[Node, Values], np.ndarray]] = {
    "Attention": attention,
    "QAttention": quantized_attention,
    "MultiHeadAttention": multi_head_attention,
}
_AFTER_SOFTMAX: Mapping[str, Mapping[str, int]] = {
    "GroupQueryAttention": {"qk_output": 2},
    "Attention": {"qk_matmul_output_mode": 3},
}
"""Operators that return their weights if an attribute says so, as their fourth output."""


@dataclass(frozen=True)
class Site:
    """A place of the graph where attention weights come from.

    Attributes:
        reads: The values that they are computed from.
        weights: From these values to the weights, (rows, heads, queries, keys).
        added: A node that has to be added to the graph.
    """

    reads: Sequence[str]
    weights: Callable[[Values], np.ndarray]
    added: Node | None = None


class AttentionReader:
    """Reads the attention weights of one graph.

    Args:
        path: The ``.onnx`` file.
        more: The names of other values to return.

    Raises:
        BundleError: The file is not an ONNX graph, or it has no attention that is known.
    """

    def __init__(self, path: Path, more: Sequence[str] = ()) -> None:
        self._graph = Graph.read(path)
        found = [_site(node) for node in self._graph.nodes]
        self._sites = [site for site in found if site is not None]
        self._more = more
        if not self._sites:
            raise self._unknown()

    def read(self, feeds: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], Values]:
        """Run the graph.

        Args:
            feeds: All inputs of the graph.

        Returns:
            For each layer float32 of shape (heads, queries, keys), of the first row; and the other
            values, by name.

        Raises:
            BundleError: ONNX Runtime cannot run it, or the weights are not known.
        """
        values = self._part.run(feeds)
        layers = [site.weights(values) for site in self._sites]
        # A softmax with other axes is none of an attention, such as that of a head.
        layers = [layer for layer in layers if layer.ndim == 4]
        if not layers:
            raise self._unknown()
        return [layer[0].astype(np.float32, copy=False) for layer in layers], values

    @cached_property
    def _part(self) -> GraphPart:
        reads = [name for site in self._sites for name in site.reads]
        added = [site.added for site in self._sites if site.added is not None]
        return GraphPart(self._graph, [*reads, *self._more], added)

    def _unknown(self) -> BundleError:
        return BundleError(
            f"No attention was found in the graph {self._graph.path}.",
            hint="Export the model with `nlplug export`, or leave the part attention out.",
        )


def _site(node: Node) -> Site | None:
    contributed = node.domain == "com.microsoft"
    if node.op == "Softmax":
        return Site(node.outputs, lambda values: values[node.outputs[0]])
    if node.op in _FORMULAS and contributed:
        return Site([*filter(None, node.inputs)], partial(_FORMULAS[node.op], node))
    if node.op in _AFTER_SOFTMAX:
        name = f"{node.outputs[0]}.weights"
        rest = [f"{output}.again" if output else "" for output in node.outputs[:3]]
        rest += [""] * (3 - len(rest))
        added = node.copy([*rest, name], **_AFTER_SOFTMAX[node.op])
        return Site([name], lambda values: values[name], added)
    return None

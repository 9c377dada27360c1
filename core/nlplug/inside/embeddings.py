"""The input embeddings of a graph, and the tokens with the nearest ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nlplug.errors import BundleError
from nlplug.inside.part import GraphPart
from nlplug.models.graph import Graph, Node
from nlplug.models.signature import Signature

if TYPE_CHECKING:
    from pathlib import Path

_IDS = "input_ids"
_CHUNK = 4096
_RESHAPING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_TABLES = frozenset({"Gather", "GatherBlockQuantized"})
_SCALING = frozenset({"DequantizeLinear", "Mul"})
_FUSED = frozenset({"EmbedLayerNormalization", "QEmbedLayerNormalization"})
_TABLE_OF_FUSED = 2


class InputEmbeddings:
    """The embedding of each token, before positions are added.

    Args:
        path: The ``.onnx`` file.

    Raises:
        BundleError: The file is not an ONNX graph, or no table of embeddings was found in it.
    """

    def __init__(self, path: Path) -> None:
        graph = Graph.read(path)
        added = [
            Node.made("Gather", (node.input(_TABLE_OF_FUSED), _IDS), f"{node.outputs[0]}.rows")
            for node in graph.nodes
            if node.op in _FUSED
        ]
        found = added[0].outputs[0] if added else _embedded(graph)
        if found is None:
            raise BundleError(
                f"No table of input embeddings was found in the graph {path}.",
                hint="Export the model with `nlplug export`, or leave the part neighbors out.",
            )
        self._name = found
        self._part = GraphPart(graph, [found], added)
        ids = Signature.read(path).inputs[_IDS]
        rows, self._size = ids.shape or (None, None)
        self._rows = rows or 1
        self._type = np.dtype(ids.type)

    def vectors(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The embeddings of tokens, scaled to length 1; float32 of shape (tokens, width)."""
        size = self._size or _CHUNK
        found = []
        for first in range(0, len(ids), size):
            own = np.asarray(ids[first : first + size], self._type)
            count = len(own)
            if self._size is not None:
                own = np.resize(own, size)
            values = self._part.run({_IDS: np.tile(own, (self._rows, 1))})[self._name]
            found.append(values.reshape(self._rows, len(own), -1)[0, :count].astype(np.float32))
        every = np.concatenate(found)
        lengths = np.linalg.norm(every, axis=1, keepdims=True)
        unit: np.ndarray = every / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def nearest(
        self, ids: Sequence[int], vocabulary: Sequence[int], top: int
    ) -> list[list[tuple[int, float]]]:
        """The nearest tokens of some tokens, without themselves.

        Args:
            ids: The tokens.
            vocabulary: The tokens to search.
            top: Number of neighbors.

        Returns:
            For each token its neighbors with the cosine of both embeddings, the nearest first.
        """
        own = self.vectors(ids)
        best: list[list[tuple[int, float]]] = [[] for _ in ids]
        for first in range(0, len(vocabulary), _CHUNK):
            part = np.asarray(vocabulary[first : first + _CHUNK])
            cosines = own @ self.vectors(part).T
            kept = np.argsort(-cosines, axis=1, kind="stable")[:, : top + 1]
            for number, (token, places) in enumerate(zip(ids, kept, strict=True)):
                more = [(int(part[place]), float(cosines[number, place])) for place in places]
                candidates = best[number] + [one for one in more if one[0] != token]
                best[number] = sorted(candidates, key=lambda one: -one[1])[:top]
        return best


def _embedded(graph: Graph) -> str | None:
    """The last value that is computed from rows of tables at the tokens, and from weights."""
    ids, rows, found = {_IDS}, set[str](), None
    for node in graph.nodes:
        if node.op in _TABLES and node.input(1) in ids and node.input(0) in graph.constants:
            rows.add(node.outputs[0])
        elif node.op in _RESHAPING and node.input(0) in ids:
            ids.add(node.outputs[0])
            continue
        elif not (
            node.op in _RESHAPING | _SCALING
            and rows.intersection(node.inputs)
            and graph.constants | rows >= set(filter(None, node.inputs))
        ):
            continue
        rows.add(node.outputs[0])
        found = node.outputs[0]
    return found

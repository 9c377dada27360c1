"""Runs a part of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.errors import BundleError
from nlplug.models.graph import Graph, Node
from nlplug.runtime.session import build_session, first_line, session_options, thread_count


class GraphPart:
    """The part of a graph that some values depend on, on the CPU.

    Args:
        graph: The graph.
        outputs: The names of the values; weights too.
        added: Nodes to add, which read values of the graph.

    Raises:
        BundleError: ONNX Runtime cannot load it.
    """

    def __init__(self, graph: Graph, outputs: Sequence[str], added: Sequence[Node] = ()) -> None:
        self._path = graph.path
        self._names = [*dict.fromkeys(outputs)]
        # What is an input of the graph cannot be its output too.
        self._fed = [name for name in self._names if name in graph.inputs]
        self._computed = [name for name in self._names if name not in graph.inputs]
        self._session: Any = None
        self._inputs: frozenset[str] = frozenset()
        if self._computed:
            options = session_options(thread_count(None))
            content = graph.part(self._computed, added)
            self._session = build_session(content, options, weights_of=graph.path)
            self._inputs = frozenset(item.name for item in self._session.get_inputs())

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The values by name.

        Args:
            feeds: The inputs of the graph; those that the part does not have are ignored.

        Raises:
            BundleError: ONNX Runtime cannot run it.
        """
        fed = {name: feeds[name] for name in self._fed}
        if self._session is None:
            return fed
        own = {name: value for name, value in feeds.items() if name in self._inputs}
        try:
            values = self._session.run(self._computed, own)
        except Exception as error:  # onnxruntime raises classes of its own without a common base
            raise BundleError(
                f"ONNX Runtime cannot run a part of {self._path}: {first_line(error)}",
                hint="Check the bundle with `nlplug models verify`, or export the model again.",
            ) from error
        return fed | dict(zip(self._computed, values, strict=True))

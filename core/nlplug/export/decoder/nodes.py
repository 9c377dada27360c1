"""Writing a graph node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from nlplug.export.graph import MICROSOFT

OPSET = 20
_IR_VERSION = 10


class GraphWriter:
    """Collects inputs, constants, nodes and outputs, and names every value."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._names: Counter[str] = Counter()

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        """Declare an input; returns its name."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, kind: int, shape: Sequence[int | str]) -> None:
        """Declare an output."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def constant(self, name: str, values: np.ndarray) -> str:
        """Store a constant, unless there is one of this name; returns its name."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    @property
    def weight(self) -> int:
        """Bytes of all constants."""
        return sum(len(values.raw_data) for values in self._constants.values())

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of the standard operators with one output; returns the output's name."""
        return self.nodes(kind, inputs, [self.name(kind)], **attributes)[0]

    def ours(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of ONNX Runtime's own operators with one output; returns its name."""
        return self.nodes(kind, inputs, [self.name(kind)], domain=MICROSOFT, **attributes)[0]

    def nodes(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> list[str]:
        """Add a node with named outputs; returns these names."""
        names = list(outputs)
        self._nodes.append(
            helper.make_node(kind, list(inputs), names, name=self.name("node"), **attributes)
        )
        return names

    def rename(self, value: str, name: str) -> None:
        """Give a computed value another name, as for an output."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if given == value else given for given in names]

    def name(self, kind: str) -> str:
        """A name that no other value has."""
        self._names[kind] += 1
        return f"{kind}_{self._names[kind]}"

    def finish(self, metadata: dict[str, str]) -> Any:
        """The ``onnx.ModelProto``."""
        graph = helper.make_graph(
            self._nodes, "decoder", self._inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            producer_name="nlplug",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)],
        )
        helper.set_model_props(model, metadata)
        return model


INT32, INT64, FLOAT = TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT
"""Types of the inputs and outputs of decoders."""

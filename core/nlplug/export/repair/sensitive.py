"""Which weights lose most when only they are quantized, and which activations overflow in fp16."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nlplug.export.graph import GraphEditor, attributes
from nlplug.export.quantize import quantize_columns
from nlplug.export.smooth import Feeds
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.session import build_session, session_options

_FEEDS = 16
_HALF = 65504.0


@dataclass(frozen=True)
class Sensitive:
    """A weight, and how much the outputs change when only it is quantized.

    Attributes:
        weight: Its name in the graph, which an export may have numbered.
        layer: The name of the operator that uses it, which contains the path of the layer.
        effect: Mean absolute difference of the outputs.
    """

    weight: str
    layer: str
    effect: float


def ranked(model: Any, feeds: Sequence[Feeds], in_time: Callable[[], bool]) -> list[Sensitive]:
    """The weights of a float graph, by how much the outputs change when only one is quantized.

    Args:
        model: The ``onnx.ModelProto`` in float32; not changed.
        feeds: Real inputs; the first 16 are run.
        in_time: Whether to measure one more weight.

    Returns:
        The weights, largest effect first.
    """
    feeds = feeds[:_FEEDS]
    exact = _outputs(model, feeds)
    found = []
    for place in _products(model):
        if not in_time():
            break
        probe = onnx.ModelProto.FromString(model.SerializeToString())
        layer = str(probe.graph.node[place].output[0]).removesuffix("_output_0").strip("/")
        name = _quantize_one(probe, place)
        given = _outputs(probe, feeds)
        effect = float(
            np.mean([np.abs(one - two).mean() for one, two in zip(exact, given, strict=True)])
        )
        found.append(Sensitive(name, layer, effect if np.isfinite(effect) else float("inf")))
    return sorted(found, key=lambda one: -one.effect)


def overflowing(model: Any, feeds: Sequence[Feeds]) -> dict[str, float]:
    """Nodes of a float graph with an input, weight or output above fp16, and the largest value."""
    editor = GraphEditor(model)
    names = [name for node in editor.nodes for name in node.output if name]
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = build_session(probe.SerializeToString(), session_options(usable_cpus()))
    known = {item.name for item in session.get_inputs()}
    largest: dict[str, float] = {}
    for feed in feeds[:_FEEDS]:
        values = session.run(None, {key: value for key, value in feed.items() if key in known})
        for name, value in zip(names, values, strict=True):
            if np.issubdtype(value.dtype, np.floating) and value.size:
                largest[name] = max(largest.get(name, 0.0), float(np.abs(value).max()))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            largest[tensor.name] = float(np.abs(values).max()) if values.size else 0.0
    found = {}
    for node in editor.nodes:
        top = max((largest.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        # The largest finite number of masks is below every value that softmax sees.
        if _HALF < top < np.finfo(np.float32).max / 2:
            found[node.name or node.output[0]] = top
    return found


def _products(model: Any) -> Iterator[int]:
    """The places of the nodes that a quantizer would change."""
    editor = GraphEditor(model)
    last = editor.last_products()
    for place, node in enumerate(editor.nodes):
        if node.op_type == "Gather":
            weight = editor.weight(node.input[0])
            if attributes(node).get("axis", 0) != 0:
                continue
        elif node.op_type in ("MatMul", "Gemm", "Attention") and node.output[0] not in last:
            weight = editor.weight(node.input[1])
        else:
            continue
        if weight is not None and weight.ndim == 2 and weight.dtype == np.float32:
            yield place


def _quantize_one(model: Any, place: int) -> str:
    """Round the weight of one node, and its activation with one scale; the weight's name."""
    editor = GraphEditor(model)
    node = editor.nodes[place]
    table = node.op_type == "Gather"
    name = str(node.input[0] if table else node.input[1])
    weight = editor.weight(name)
    if weight is None:
        raise ValueError(f"{name} is computed")
    turned = table or bool(attributes(node).get("transB", 0))
    values, scale = quantize_columns(weight.T if turned else weight)
    rounded = values * scale
    editor.set_weight(name, (rounded.T if turned else rounded).astype(np.float32))
    if not table:
        value = node.input[0]
        parts = [f"{value}_{part}" for part in ("probe_u8", "probe_scale", "probe_zero", "probe")]

        def change(other: Any) -> list[Any] | None:
            if other.output[0] != node.output[0]:
                return None
            other.input[0] = parts[3]
            return [
                helper.make_node("DynamicQuantizeLinear", [value], parts[:3]),
                helper.make_node("DequantizeLinear", parts[:3], [parts[3]]),
                other,
            ]

        editor.rewrite(change)
    return name


def _outputs(model: Any, feeds: Sequence[Feeds]) -> list[np.ndarray]:
    session = build_session(model.SerializeToString(), session_options(usable_cpus()))
    known = {item.name for item in session.get_inputs()}
    return [
        np.asarray(value, np.float64)
        for feed in feeds
        for value in session.run(None, {key: one for key, one in feed.items() if key in known})
    ]

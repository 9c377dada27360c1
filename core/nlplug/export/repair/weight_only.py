"""Weights stored in few bits, and arithmetic in float32: the least loss, and no gain in speed."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from nlplug.export.graph import GraphEditor, attributes

_BLOCK = 32
_TOP = 127.0
_SMALLEST = 1024


def weights_in_blocks(model: Any, exclude: frozenset[str] = frozenset()) -> Any:
    """Store matrices as int8 with one scale per 32 weights of a column, in place.

    The session computes the float weights once, while it loads the graph.

    Args:
        model: An ``onnx.ModelProto`` in float32.
        exclude: Names of weights that stay in float.

    Returns:
        The model.
    """
    editor = GraphEditor(model)
    tables = {
        node.input[0]
        for node in editor.nodes
        if node.op_type == "Gather" and attributes(node).get("axis", 0) == 0
    }
    nodes: list[Any] = []
    for tensor in list(model.graph.initializer):
        name, weight = tensor.name, _matrix(editor, tensor.name)
        if weight is None or name in exclude:
            continue
        if name in tables:
            blocks = _blocks(weight.T)
            nodes += _stored(editor, name, blocks, weight.T.shape, turned=True)
        else:
            nodes += _stored(editor, name, _blocks(weight), weight.shape, turned=False)
    return _with_first(editor, nodes)


def weights_in_half(model: Any) -> Any:
    """Store matrices in fp16, except those with numbers that fp16 does not have, in place."""
    editor = GraphEditor(model)
    nodes = []
    for tensor in list(model.graph.initializer):
        name, weight = tensor.name, _matrix(editor, tensor.name)
        if weight is None or np.abs(weight).max() > np.finfo(np.float16).max:
            continue
        half = editor.add_weight(f"{name}_half", weight.astype(np.float16))
        nodes.append(helper.make_node("Cast", [half], [f"{name}_whole"], to=TensorProto.FLOAT))
        _read_instead(editor, name, f"{name}_whole")
    return _with_first(editor, nodes)


def _matrix(editor: GraphEditor, name: str) -> np.ndarray | None:
    """A float32 matrix worth storing otherwise, or None."""
    weight = editor.weight(name)
    if weight is None or weight.ndim != 2 or weight.dtype != np.float32:
        return None
    return weight if weight.size >= _SMALLEST else None


def _blocks(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 of shape (blocks, 32, outputs), the last block padded, and scales (blocks, 1, outputs).

    Args:
        weight: Shape (inputs, outputs).
    """
    inputs, outputs = weight.shape
    count = -(-inputs // _BLOCK)
    padded = np.zeros((count * _BLOCK, outputs), np.float32)
    padded[:inputs] = weight
    parts = padded.reshape(count, _BLOCK, outputs)
    scale = np.abs(parts).max(axis=1, keepdims=True) / np.float32(_TOP)
    divisor = np.where(scale > 0, scale, np.float32(1))
    return np.rint(parts / divisor).astype(np.int8), scale


def _stored(
    editor: GraphEditor,
    name: str,
    blocks: tuple[np.ndarray, np.ndarray],
    shape: tuple[int, ...],
    *,
    turned: bool,
) -> list[Any]:
    """The nodes that compute a weight of this shape; ``turned`` if it is then transposed."""
    values, scale = blocks
    whole, float_name = f"{name}_blocks", f"{name}_whole"
    size = editor.add_weight(f"{name}_size", np.array([-1, shape[1]], np.int64))
    limits = [
        editor.add_weight(f"{name}_{part}", np.array([number], np.int64))
        for part, number in (("begin", 0), ("end", shape[0]), ("axis", 0))
    ]
    end = f"{name}_sliced" if turned else float_name
    nodes = [
        helper.make_node(
            "Cast", [editor.add_weight(whole, values)], [f"{whole}_float"], to=TensorProto.FLOAT
        ),
        helper.make_node(
            "Mul",
            [f"{whole}_float", editor.add_weight(f"{name}_scales", scale)],
            [f"{whole}_scaled"],
        ),
        helper.make_node("Reshape", [f"{whole}_scaled", size], [f"{whole}_rows"]),
        helper.make_node("Slice", [f"{whole}_rows", *limits], [end]),
    ]
    if turned:
        nodes.append(helper.make_node("Transpose", [end], [float_name], perm=[1, 0]))
    _read_instead(editor, name, float_name)
    return nodes


def _read_instead(editor: GraphEditor, name: str, other: str) -> None:
    for node in editor.nodes:
        for place, value in enumerate(node.input):
            if value == name:
                node.input[place] = other


def _with_first(editor: GraphEditor, nodes: list[Any]) -> Any:
    """Put these nodes before all others, and remove nodes that are no longer used."""
    graph = editor.model.graph
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    return GraphEditor(editor.model).finish()

"""The weights of fused attention nodes: with their values they give what the node returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug import pipeline
from nlplug.errors import BundleError
from nlplug.inside.attention import AttentionReader
from nlplug.inside.formulas import quantized_attention
from nlplug.inside.part import GraphPart
from nlplug.models.graph import Graph

ROWS, TOKENS, HEADS, SIZE = 2, 5, 2, 4
WIDTH = HEADS * SIZE
LENGTHS = np.array([5, 3], np.int32)
Array = np.ndarray[Any, Any]


def drawn(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def heads_of(values: Array) -> Array:
    return values.reshape(ROWS, TOKENS, HEADS, SIZE).swapaxes(1, 2)


def raw_mask() -> Array:
    return (np.arange(TOKENS) < LENGTHS[:, None]).astype(np.int32)


CASES: Mapping[str, tuple[str, dict[str, Array], dict[str, Any]]] = {
    "joint, raw mask, causal": (
        "Attention",
        {"x": drawn(ROWS, TOKENS, WIDTH), "w": drawn(WIDTH, 3 * WIDTH), "b": drawn(3 * WIDTH)}
        | {"mask": raw_mask()},
        {"unidirectional": 1},
    ),
    "joint, lengths": (
        "Attention",
        {"x": drawn(ROWS, TOKENS, WIDTH), "w": drawn(WIDTH, 3 * WIDTH), "b": drawn(3 * WIDTH)}
        | {"mask": LENGTHS},
        {"scale": 0.3},
    ),
    "several heads, bias, lengths": (
        "MultiHeadAttention",
        {name: drawn(ROWS, TOKENS, WIDTH) * factor for name, factor in (("q", 1), ("k", -1))}
        | {"v": drawn(ROWS, TOKENS, WIDTH), "b": drawn(3 * WIDTH), "mask": LENGTHS}
        | {"added": drawn(1, HEADS, TOKENS, TOKENS)},
        {},
    ),
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes a graph of one attention node, whose inputs are those of the graph."""
    from onnx import TensorProto, helper, save

    types = {"f": TensorProto.FLOAT, "i": TensorProto.INT32}

    def write(op: str, feeds: Mapping[str, Array], *, domain: str, **attributes: Any) -> Path:
        node = helper.make_node(op, [*feeds], ["output"], domain=domain, **attributes)
        inputs = [
            helper.make_tensor_value_info(name, types[one.dtype.kind], one.shape)
            for name, one in feeds.items()
        ]
        output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
        graph = helper.make_graph([node], "g", inputs, [output])
        sets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        path = tmp_path / "model.onnx"
        save(helper.make_model(graph, opset_imports=sets, ir_version=10), str(path))
        return path

    return write


@pytest.mark.train
@pytest.mark.parametrize("case", CASES)
def test_weights_and_values_give_the_output(case: str, written: Callable[..., Path]) -> None:
    op, feeds, attributes = CASES[case]
    path = written(op, feeds, domain="com.microsoft", num_heads=HEADS, **attributes)
    weights = AttentionReader(path).read(feeds)[0][0]
    if "v" in feeds:
        values = heads_of(feeds["v"] + feeds["b"][2 * WIDTH :])
    else:
        values = heads_of(feeds["x"] @ feeds["w"][:, 2 * WIDTH :] + feeds["b"][2 * WIDTH :])
    output = GraphPart(Graph.read(path), ["output"]).run(feeds)["output"]
    np.testing.assert_allclose(weights @ values[0], heads_of(output)[0], atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.train
def test_onnx_attention_returns_its_weights(written: Callable[..., Path]) -> None:
    feeds = {name: drawn(1, HEADS, TOKENS, SIZE) + place for place, name in enumerate("qkv")}
    path = written("Attention", feeds, domain="")
    (weights,), _ = AttentionReader(path).read(feeds)
    output = GraphPart(Graph.read(path), ["output"]).run(feeds)["output"]
    np.testing.assert_allclose(weights @ feeds["v"][0], output[0], atol=1e-5)


def test_quantized_weights_and_values_give_the_output() -> None:
    with pipeline("sentiment") as pipe:
        path = pipe.bundle.onnx_file("int8")
    graph = Graph.read(path)
    node = next(node for node in graph.nodes if node.op == "QAttention")
    part = GraphPart(graph, [*node.inputs, *node.outputs])
    ids = np.array([[101, 1045, 3866, 2023, 102]])
    values = part.run({"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0})
    states, kernel, bias, scale, kernel_scale, _, zero, kernel_zero = (
        values[name].astype(np.float32) for name in node.inputs[:8]
    )
    joint = ((states - zero) * scale) @ ((kernel - kernel_zero) * kernel_scale) + bias
    third = joint.shape[-1] // 3
    size = third // int(node.number("num_heads", 0))
    own = joint[0, :, 2 * third :].reshape(len(ids[0]), -1, size).swapaxes(0, 1)
    output = (quantized_attention(node, values)[0] @ own).swapaxes(0, 1).reshape(-1, third)
    np.testing.assert_allclose(output, values[node.outputs[0]][0], atol=1e-4)


@pytest.mark.train
def test_a_graph_without_known_attention_is_refused(written: Callable[..., Path]) -> None:
    path = written("Add", {"x": drawn(1, 2), "y": drawn(1, 2)}, domain="")
    with pytest.raises(BundleError, match=r"No attention was found in the graph .*model\.onnx"):
        AttentionReader(path)
    packed = {"q": drawn(ROWS, TOKENS, HEADS, 3, SIZE)}
    path = written("MultiHeadAttention", packed, domain="com.microsoft", num_heads=HEADS)
    with pytest.raises(BundleError, match="its node MultiHeadAttention has inputs of an unknown"):
        AttentionReader(path).read(packed)

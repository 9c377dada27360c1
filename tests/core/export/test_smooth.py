"""Wild activations: evened out for the quantizer, unchanged for everyone else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from nlplug.export.graph import GraphEditor, histogram
from nlplug.export.quantize import quantize
from nlplug.export.smooth import smooth

pytestmark = pytest.mark.train

CHANNELS, INNER = 32, 128


def feed_forward() -> onnx.ModelProto:
    """Embeddings, a layer norm with one wild channel, a block of two products, a residual."""
    random = np.random.default_rng(0)
    gamma = np.ones(CHANNELS, dtype=np.float32)
    beta = np.zeros(CHANNELS, dtype=np.float32)
    gamma[3], beta[3] = 20.0, 50.0
    up = random.normal(scale=0.2, size=(CHANNELS, INNER)).astype(np.float32)
    up[3] *= 0.02
    weights = {
        "table": random.normal(size=(100, CHANNELS)).astype(np.float32),
        "gamma": gamma,
        "beta": beta,
        "up": up,
        "up_bias": random.normal(size=INNER).astype(np.float32),
        "down": random.normal(scale=0.1, size=(INNER, CHANNELS)).astype(np.float32),
        "down_bias": np.zeros(CHANNELS, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"]),
        helper.make_node("LayerNormalization", ["x", "gamma", "beta"], ["n"], epsilon=1e-5),
        helper.make_node("MatMul", ["n", "up"], ["u"]),
        helper.make_node("Add", ["u", "up_bias"], ["ub"]),
        helper.make_node("Relu", ["ub"], ["r"]),
        helper.make_node("MatMul", ["r", "down"], ["d"]),
        helper.make_node("Add", ["d", "down_bias"], ["db"]),
        helper.make_node("Sum", ["db", "n"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def ids(seed: int, rows: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (rows, 24))


def run(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    output: np.ndarray = session.run(None, {"ids": values})[0]
    return output


def smoothed(model: onnx.ModelProto) -> onnx.ModelProto:
    editor = GraphEditor(model)
    assert smooth(editor, [{"ids": ids(seed)} for seed in range(8)]) >= 1
    return editor.finish()


def test_the_float_graph_computes_what_it_did() -> None:
    values = ids(100, rows=4)
    np.testing.assert_allclose(
        run(smoothed(feed_forward()), values), run(feed_forward(), values), atol=2e-4
    )


def test_the_residual_path_keeps_the_plain_layer_norm() -> None:
    model = smoothed(feed_forward())
    assert histogram(model)["LayerNormalization"] == 2
    assert [list(node.input) for node in model.graph.node if node.op_type == "Sum"] == [["db", "n"]]


def test_int8_loses_much_less_where_a_channel_is_wild() -> None:
    values = ids(100, rows=4)
    exact = run(feed_forward(), values)
    plain = np.square(run(quantize(feed_forward()), values) - exact).mean()
    even = np.square(run(quantize(smoothed(feed_forward())), values) - exact).mean()
    assert even < 0.2 * plain


def test_a_tame_graph_is_left_as_it_is() -> None:
    model = feed_forward()
    for tensor in model.graph.initializer:
        if tensor.name in ("gamma", "beta"):
            array = np.full(CHANNELS, float(tensor.name == "gamma"), dtype=np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        if tensor.name == "up":
            array = np.random.default_rng(1).normal(scale=0.2, size=(CHANNELS, INNER))
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), "up"))
    editor = GraphEditor(model)
    smooth(editor, [{"ids": ids(seed)} for seed in range(8)])
    assert histogram(editor.finish())["LayerNormalization"] == 1

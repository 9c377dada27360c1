"""Int8 weights and the graph that holds them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from nlplug.errors import OptionError
from nlplug.export.graph import histogram
from nlplug.export.quantize import Quantization, quantize, quantize_columns

pytestmark = pytest.mark.train


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """ids (batch, sequence) → y."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_each_column_has_a_scale_of_its_own() -> None:
    weight = np.array([[1.0, 1000.0], [-0.5, 300.0]], dtype=np.float32)
    integers, scale = quantize_columns(weight)
    assert scale.shape == (2,)
    assert (integers.dtype, np.abs(integers).max()) == (np.int8, 127)
    np.testing.assert_allclose(integers * scale, weight, rtol=0.02)


def test_one_scale_for_all_loses_the_small_column() -> None:
    weight = np.array([[1.0, 1000.0], [-0.5, 300.0]], dtype=np.float32)
    integers, scale = quantize_columns(weight, per_channel=False)
    assert scale.shape == ()
    assert integers[:, 0].tolist() == [0, 0]


def test_the_scale_with_the_least_squared_error_is_taken() -> None:
    weight = np.random.default_rng(0).normal(size=(2048, 1)).astype(np.float32)
    integers, scale = quantize_columns(weight, bits=4)
    plain = np.abs(weight).max() / 7
    error = np.square(integers * scale - weight).sum()
    assert error < np.square(np.rint(weight / plain) * plain - weight).sum()


def test_columns_of_zeros_stay_zeros() -> None:
    integers, scale = quantize_columns(np.zeros((3, 2), dtype=np.float32))
    assert not integers.any()
    assert np.isfinite(scale).all()


def test_bits_out_of_reason_are_refused() -> None:
    with pytest.raises(OptionError, match="weight_bits is 9"):
        Quantization(weight_bits=9)


def test_a_head_that_is_split_into_two_outputs_stays_in_float_too() -> None:
    random = np.random.default_rng(0)
    weights = {
        "table": random.normal(size=(100, 32)).astype(np.float32),
        "inner": random.normal(scale=0.1, size=(32, 48)).astype(np.float32),
        "last": random.normal(size=(48, 2)).astype(np.float32),
        "shift": np.array([0.5, -0.5], dtype=np.float32),
        "axis": np.array([2], dtype=np.int64),
    }
    model = graph_of(
        [
            helper.make_node("Gather", ["table", "ids"], ["e"]),
            helper.make_node("MatMul", ["e", "inner"], ["h"]),
            helper.make_node("MatMul", ["h", "last"], ["p"]),
            helper.make_node("Add", ["p", "shift"], ["b"]),
            helper.make_node("Split", ["b"], ["s", "t"], axis=2),
            helper.make_node("Squeeze", ["s", "axis"], ["y"]),
            helper.make_node("Squeeze", ["t", "axis"], ["z"]),
        ],
        weights,
    )
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    counts = histogram(quantize(model))
    assert (counts["DynamicQuantizeMatMul"], counts["MatMul"]) == (1, 1)


def test_a_product_takes_its_bias_in_and_the_last_one_stays_in_float() -> None:
    random = np.random.default_rng(0)
    weights = {
        "table": random.normal(size=(100, 32)).astype(np.float32),
        "inner": random.normal(scale=0.1, size=(32, 48)).astype(np.float32),
        "shift": random.normal(size=48).astype(np.float32),
        "last": random.normal(size=(48, 2)).astype(np.float32),
    }
    model = graph_of(
        [
            helper.make_node("Gather", ["table", "ids"], ["x"]),
            helper.make_node("MatMul", ["x", "inner"], ["product"]),
            helper.make_node("Add", ["shift", "product"], ["shifted"]),
            helper.make_node("Tanh", ["shifted"], ["squashed"]),
            helper.make_node("MatMul", ["squashed", "last"], ["y"]),
        ],
        weights,
    )
    ids = random.integers(0, 100, (3, 7))
    (expected,) = run(model, ids=ids)
    small = quantize(model)
    assert histogram(small) == {
        "Gather": 2,
        "Cast": 1,
        "Mul": 1,
        "DynamicQuantizeMatMul": 1,
        "Tanh": 1,
        "MatMul": 1,
    }
    assert {tensor.name for tensor in small.graph.initializer} == {
        "table_int8",
        "table_scale",
        "inner_int8",
        "inner_scale",
        "shift",
        "last",
    }
    (given,) = run(small, ids=ids)
    assert np.abs(given - expected).max() < 0.05 * np.abs(expected).max()
    assert np.corrcoef(given.ravel(), expected.ravel())[0, 1] > 0.999


def test_a_transposed_gemm_is_quantized_by_its_outputs() -> None:
    random = np.random.default_rng(0)
    weights = {
        "table": random.normal(size=(100, 32)).astype(np.float32),
        "w": (random.normal(size=(16, 32)) * np.logspace(-3, 3, 16)[:, None]).astype(np.float32),
        "b": random.normal(size=16).astype(np.float32),
        "axes": np.array([1], dtype=np.int64),
    }
    model = graph_of(
        [
            helper.make_node("Squeeze", ["ids", "axes"], ["flat"]),
            helper.make_node("Gather", ["table", "flat"], ["x"]),
            helper.make_node("Gemm", ["x", "w", "b"], ["z"], transB=1),
            helper.make_node("Identity", ["z"], ["y"]),
        ],
        weights,
    )
    ids = random.integers(0, 100, (5, 1))
    (expected,) = run(model, ids=ids)
    (given,) = run(quantize(model, Quantization(embeddings=False)), ids=ids)
    error = np.abs(given - expected) / np.abs(expected).max(axis=0)
    assert error.max() < 0.03


def test_a_product_of_two_computed_values_is_left_alone() -> None:
    weights = {"table": np.ones((100, 32), dtype=np.float32)}
    model = graph_of(
        [
            helper.make_node("Gather", ["table", "ids"], ["x"]),
            helper.make_node("Transpose", ["x"], ["xt"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["x", "xt"], ["z"]),
            helper.make_node("Relu", ["z"], ["y"]),
        ],
        weights,
    )
    assert histogram(quantize(model, Quantization(embeddings=False)))["MatMul"] == 1


def test_excluded_weights_stay_in_float() -> None:
    weights = {"table": np.ones((100, 32), dtype=np.float32)}
    model = graph_of([helper.make_node("Gather", ["table", "ids"], ["y"])], weights)
    assert histogram(quantize(model, Quantization(exclude=("tab",)))) == {"Gather": 1}


def test_products_are_excluded_by_the_place_they_have_in_the_model() -> None:
    weights = {name: np.ones((32, 32), dtype=np.float32) for name in ("first", "second", "third")}
    model = graph_of(
        [
            helper.make_node("MatMul", ["x", "first"], ["/layer.0/dense/MatMul_output_0"]),
            helper.make_node(
                "MatMul", ["/layer.0/dense/MatMul_output_0", "second"], ["/layer.1/dense/out"]
            ),
            helper.make_node("MatMul", ["/layer.1/dense/out", "third"], ["y"]),
        ],
        weights,
    )
    left = quantize(model, Quantization(exclude=("layer.1/dense",)))
    assert [node.input[1] for node in left.graph.node if node.op_type == "MatMul"] == [
        "second",
        "third",
    ]

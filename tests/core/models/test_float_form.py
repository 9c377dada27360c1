"""Of an int8 graph a float32 one is made that answers the same, without the package onnx."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_kit import model_of, product
from onnx import helper, numpy_helper

from nlplug.models.float_form import in_float
from nlplug.runtime.session import OnnxExecutor, build_session, session_options

X = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
PRODUCTS = ("DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat")
QUANTIZED = {*PRODUCTS, "QuantizeLinear", "DynamicQuantizeLinear", "QAttention"}


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def operators(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_model_from_string(content).graph.node)


def run(graph: Path | bytes, x: np.ndarray) -> np.ndarray:
    [found] = build_session(graph, session_options(1)).run(None, {"x": x})
    return np.asarray(found)


def exact(model: onnx.ModelProto) -> np.ndarray:
    """The product of ``X`` and the matrix in float32, by numpy."""
    known = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    matrix = known["w"].astype(np.float32) - known.get("w_zero", 0)
    return np.asarray(X @ (matrix * known["scale"]) + known.get("bias", 0), np.float32)


@pytest.mark.parametrize("operator", PRODUCTS)
def test_a_product_is_that_of_the_values_before_they_were_rounded(
    operator: str, tmp_path: Path
) -> None:
    model = product(operator)
    content = in_float(saved(model, tmp_path))
    assert content is not None
    assert not QUANTIZED & operators(content).keys()
    np.testing.assert_allclose(run(content, X), exact(model), atol=1e-5)
    rounded = run(tmp_path / "model.onnx", X)
    assert 1e-4 < np.abs(rounded - exact(model)).max() < 0.1


def attention(quantized: bool) -> onnx.ModelProto:
    """x (rows, tokens, 8) → y of the same shape; the second token is left out by the mask."""
    random = np.random.default_rng(2)
    matrix = random.integers(-127, 127, (8, 24)).astype(np.int8)
    zero, scale = np.array([3], np.int8), np.array([0.01], np.float32)
    weights: dict[str, np.ndarray] = {
        "bias": random.normal(size=24).astype(np.float32),
        "mask": np.array([[1, 0, 1], [1, 0, 1]], np.int32),
    }
    settings: dict[str, Any] = {"domain": "com.microsoft", "num_heads": 2}
    if quantized:
        weights |= {"w": matrix, "scale": scale, "w_zero": zero}
        inputs = ["q", "w", "bias", "step", "scale", "mask", "zero", "w_zero"]
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "step", "zero"]),
            helper.make_node("QAttention", inputs, ["y"], **settings),
        ]
    else:
        weights["w"] = (matrix.astype(np.float32) - 3) * scale
        nodes = [helper.make_node("Attention", ["x", "w", "bias", "mask"], ["y"], **settings)]
    return model_of(nodes, weights, {"x": [2, 3, 8]}, {"y": [2, 3, 8]})


def test_attention_keeps_its_mask_and_its_heads(tmp_path: Path) -> None:
    content = in_float(saved(attention(quantized=True), tmp_path))
    assert content is not None
    assert not QUANTIZED & operators(content).keys()
    x = np.random.default_rng(3).normal(size=(2, 3, 8)).astype(np.float32)
    expected = run(attention(quantized=False).SerializeToString(), x)
    np.testing.assert_allclose(run(content, x), expected, atol=1e-5)


def left_alone(name: str) -> onnx.ModelProto:
    model = product("MatMulIntegerToFloat" if name == "read elsewhere" else "MatMulInteger")
    nodes = list(model.graph.node)
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    if name == "read elsewhere":
        nodes.append(helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["again"]))
    elif name == "sum of whole numbers":
        nodes.insert(2, helper.make_node("Add", ["sum", "one"], ["more"]))
        weights["one"] = np.array([1], np.int32)
        nodes[3].input[0] = "more"
    elif name == "two activations":
        nodes[1:1] = [helper.make_node("Transpose", ["q"], ["w"], perm=[1, 0])]
        del weights["w"]
    else:
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        weights = {"w": weights["w"].astype(np.float32)}
    return model_of(nodes, weights, {"x": [4, 8]}, {"y": [4, 4]})


@pytest.mark.parametrize(
    "name", ["read elsewhere", "sum of whole numbers", "two activations", "float32"]
)
def test_what_needs_the_rounded_values_stays_as_it_is(name: str, tmp_path: Path) -> None:
    path = saved(left_alone(name), tmp_path)
    run(path, X[:4])
    assert in_float(path) is None


@pytest.mark.gpu
@pytest.mark.parametrize("operator", PRODUCTS)
def test_an_int8_graph_runs_on_the_gpu(operator: str, tmp_path: Path) -> None:
    model = product(operator)
    executor = OnnxExecutor(saved(model, tmp_path), device="cuda")
    assert executor.device == "cuda:0"
    np.testing.assert_allclose(executor.run({"x": X})["y"], exact(model), atol=1e-2)

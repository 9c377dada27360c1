"""Forms of graphs that repairs use: the same results, in fewer bytes or with smaller outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nlplug.export.graph import GraphEditor
from nlplug.export.repair.fold import fold
from nlplug.export.repair.sensitive import overflowing
from nlplug.export.repair.weight_only import weights_in_blocks, weights_in_half
from nlplug.runtime.session import build_session, session_options

RANDOM = np.random.default_rng(0)
HIDDEN, INNER = 48, 40
WEIGHTS: dict[str, np.ndarray] = {
    "gain": RANDOM.normal(1, 0.1, HIDDEN),
    "shift": RANDOM.normal(0, 0.1, HIDDEN),
    "up": RANDOM.normal(0, 0.3, (HIDDEN, INNER)),
    "bias": RANDOM.normal(0, 0.3, INNER),
    "down": RANDOM.normal(0, 0.3, (INNER, HIDDEN)),
}
FEEDS = [{"x": RANDOM.normal(0, 1, (1, 9, HIDDEN)).astype(np.float32)}]


def model(**changed: np.ndarray) -> Any:
    """A layer norm, and two products with ReLU between them."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "gain", "shift"], ["normed"], name="norm"),
        helper.make_node("MatMul", ["normed", "up"], ["raw"], name="up"),
        helper.make_node("Add", ["raw", "bias"], ["biased"]),
        helper.make_node("Relu", ["biased"], ["inner"]),
        helper.make_node("MatMul", ["inner", "down"], ["y"], name="down"),
    ]
    shape = ["batch", "tokens", HIDDEN]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in {**WEIGHTS, **changed}.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(graph: Any) -> np.ndarray:
    onnx.checker.check_model(graph)
    session = build_session(graph.SerializeToString(), session_options(1))
    (found,) = session.run(None, FEEDS[0])
    return np.asarray(found)


def outliers() -> dict[str, np.ndarray]:
    """The same model with one gain and one inner channel a thousand times as large."""
    changed = {name: value.copy() for name, value in WEIGHTS.items()}
    for name in ("gain", "shift"):
        changed[name][3] *= 1e3
    changed["up"][3] /= 1e3
    changed["up"][:, 5] *= 1e3
    changed["bias"][5] *= 1e3
    changed["down"][5] /= 1e3
    return changed


def test_folding_undoes_outliers_of_a_norm_and_of_a_product_without_a_change() -> None:
    graph = model(**outliers())
    expected = run(graph)
    editor = GraphEditor(graph)
    assert fold(editor, FEEDS) == 2
    np.testing.assert_allclose(run(editor.finish()), expected, rtol=1e-4, atol=1e-4)
    for name, before in outliers().items():
        after = editor.weight(name)
        assert after is not None
        assert np.abs(after).max() < 0.1 * np.abs(before).max() or np.abs(before).max() < 10


def test_a_norm_that_something_else_reads_is_not_folded() -> None:
    graph = model(**outliers())
    graph.graph.output.append(helper.make_tensor_value_info("normed", TensorProto.FLOAT, None))
    editor = GraphEditor(graph)
    assert fold(editor, FEEDS) == 1
    gain = editor.weight("gain")
    assert gain is not None
    np.testing.assert_allclose(gain, outliers()["gain"].astype(np.float32))


@pytest.mark.parametrize(
    ("change", "share", "tolerance"),
    [(weights_in_blocks, 0.45, 0.02), (weights_in_half, 0.6, 2e-3)],
)
def test_weights_are_stored_in_fewer_bytes_and_read_as_floats(
    change: Any, share: float, tolerance: float
) -> None:
    expected = run(model())
    stored = change(model())
    assert stored.ByteSize() < share * model().ByteSize() + 2000
    assert {item.name for item in stored.graph.initializer}.isdisjoint({"up", "down"})
    assert np.abs(run(stored) - expected).max() < tolerance * np.abs(expected).max()


def test_weights_beyond_fp16_stay_in_float() -> None:
    large = WEIGHTS["down"] * 1e6
    stored = weights_in_half(model(down=large))
    assert "down" in {item.name for item in stored.graph.initializer}


def test_operators_with_numbers_beyond_fp16_are_named() -> None:
    assert overflowing(model(), FEEDS) == {}
    found = overflowing(model(down=WEIGHTS["down"] * 1e6), FEEDS)
    assert list(found) == ["down"]
    assert found["down"] > 65504

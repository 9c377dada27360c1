"""Fused graphs: the operators that are meant to be there, and the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.exporters.exporter import installed_exporter
from nlplug.export.fusion import FusedGraphs, fuse
from nlplug.export.graph import histogram
from nlplug.export.half import to_half
from nlplug.export.quantize import quantize
from nlplug.task import Task

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def graphs(
    random_bert: Path, toy_task: Task, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, FusedGraphs]:
    folder = tmp_path_factory.mktemp("graphs")
    model = load_checkpoint(random_bert, toy_task).model
    plain = installed_exporter().one_pass(model, toy_task.family.exported_as, folder)
    fused = fuse(plain, model.config, folder)
    assert list(folder.iterdir()) == []
    return plain, fused


def logits(model: Any, *, left: bool = False) -> np.ndarray:
    """Of three texts of different length; padded on the right, or on the left."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mask = (np.arange(10) < np.array([[10], [6], [3]])).astype(np.int64)
    if left:
        mask = mask[:, ::-1].copy()
    ids = np.random.default_rng(0).integers(0, 64, mask.shape) * mask
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
    values: np.ndarray = session.run(None, feeds)[0]
    return values


def test_inputs_and_outputs_stay_as_they_were(graphs: tuple[Any, FusedGraphs]) -> None:
    for graph in (graphs[1].cpu.graph, graphs[1].gpu.graph):
        assert [item.name for item in graph.input] == [
            "input_ids",
            "attention_mask",
            "token_type_ids",
        ]
        assert [item.name for item in graph.output] == ["logits"]
        for item in graph.input:
            axes = item.type.tensor_type.shape.dim
            assert [bool(axis.dim_param) for axis in axes] == [True, True]


def test_attention_and_gelu_are_one_operator_each(graphs: tuple[Any, FusedGraphs]) -> None:
    counts = histogram(graphs[1].cpu)
    assert (counts["Attention"], counts["BiasGelu"]) == (2, 2)
    assert "Softmax" not in counts
    assert "Constant" not in counts
    assert graphs[1].note == "fused: 2 Attention, 4 SkipLayerNormalization, 2 BiasGelu"


def test_the_cpu_graph_has_no_skip_layer_norm_which_is_slow_there(
    graphs: tuple[Any, FusedGraphs],
) -> None:
    assert "SkipLayerNormalization" not in histogram(graphs[1].cpu)
    assert histogram(graphs[1].gpu)["SkipLayerNormalization"] == 4


def test_onnxruntime_does_not_fuse_it_back_while_loading(
    graphs: tuple[Any, FusedGraphs], tmp_path: Path
) -> None:
    import onnx
    import onnxruntime

    small = quantize(onnx.ModelProto.FromString(graphs[1].cpu.SerializeToString()))
    for name, model in (("fp32", graphs[1].cpu), ("int8", small)):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        assert "SkipLayerNormalization" not in histogram(onnx.load(tmp_path / f"{name}.onnx"))


@pytest.mark.parametrize("left", [False, True], ids=["padded right", "padded left"])
def test_the_fused_graphs_compute_the_same(graphs: tuple[Any, FusedGraphs], left: bool) -> None:
    plain, fused = graphs
    expected = logits(plain, left=left)
    np.testing.assert_allclose(logits(fused.cpu, left=left), expected, atol=1e-5)
    np.testing.assert_allclose(logits(fused.gpu, left=left), expected, atol=1e-5)


def test_half_precision_keeps_its_inputs_and_outputs_and_halves_the_weights(
    graphs: tuple[Any, FusedGraphs],
) -> None:
    from onnx import TensorProto

    half = to_half(graphs[1].gpu)
    kinds = {item.type.tensor_type.elem_type for item in half.graph.input}
    assert kinds == {TensorProto.INT64}
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert half.ByteSize() < 0.6 * graphs[1].gpu.ByteSize()
    np.testing.assert_allclose(logits(half), logits(graphs[1].gpu), atol=5e-3)


def test_the_int8_graph_holds_no_chain_of_casts(graphs: tuple[Any, FusedGraphs]) -> None:
    import onnx

    counts = histogram(quantize(onnx.ModelProto.FromString(graphs[1].cpu.SerializeToString())))
    assert counts["QAttention"] == counts["DynamicQuantizeLinear"] == 2
    assert counts["DynamicQuantizeMatMul"] == 3 * 2 + 1
    assert counts["Cast"] <= 3  # the mask, and a table of embeddings each
    assert "MatMulInteger" not in counts
    assert "MatMul" not in counts

"""What the export makes of each architecture and task: right in float32, small and near in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parity.models import ARCHITECTURES, TAGS, TOPICS, WINDOW

from nlplug.export.gate import worst_fp32
from nlplug.export.graph import histogram

pytestmark = pytest.mark.train

TASKS = ("classification", "ner", "qa")
Exported = Callable[..., tuple[Path, Any]]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_precisions_pass_the_gate(architecture: str, task: str, exported: Exported) -> None:
    import onnx

    _, report = exported(architecture, task)
    exact, small = report.verdicts
    assert (exact.precision, small.precision) == ("fp32", "int8")
    assert worst_fp32(exact.parity) < 1e-4
    assert exact.parity["agreement"] > 0.999
    # Random weights are harder on int8 than trained ones: nothing in them is redundant.
    assert small.parity["cosine"] > 0.95
    counts = histogram(onnx.load(report.bundle.onnx_file("int8")))
    assert counts["DynamicQuantizeMatMul"] >= 6
    # Beside the head no product with weights is left in float.
    weights = _float_products(onnx.load(report.bundle.onnx_file("int8")))
    assert len(weights) == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_manifest_says_what_was_fused(architecture: str, exported: Exported) -> None:
    _, report = exported(architecture, "ner")
    note = report.bundle.manifest.metrics["graph"]
    expected = {"DeBERTa-v2": "plain: no fusion for deberta-v2", "ALBERT": "partly fused: "}
    assert note.startswith(expected.get(architecture, "fused: 2 Attention"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_window_leaves_out_positions_that_are_never_used(
    architecture: str, exported: Exported
) -> None:
    _, report = exported(architecture, "ner")
    assert report.bundle.max_length == WINDOW
    unused = report.bundle.config["max_position_embeddings"] - WINDOW
    assert unused == (2 if architecture in ("RoBERTa", "XLM-R") else 0)


def test_labels_are_those_of_the_model_and_none_where_it_has_none(exported: Exported) -> None:
    labels = {task: exported("BERT", task)[1].bundle.manifest.labels for task in TASKS}
    assert labels == {"classification": list(TOPICS), "ner": list(TAGS), "qa": []}


def test_a_question_answering_graph_has_two_outputs(exported: Exported) -> None:
    import onnx

    _, report = exported("BERT", "qa")
    graph = onnx.load(report.bundle.onnx_file("int8")).graph
    assert [item.name for item in graph.output] == ["start_logits", "end_logits"]


def _float_products(model: Any) -> list[str]:
    names = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and names.intersection(node.input[:2])
    ]

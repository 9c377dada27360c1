"""What the export makes of each architecture and task: right in float32, small and near in int8.

Tested in each task's own file, where the same exports answer beside transformers.
"""

from __future__ import annotations

from typing import Any

from nlplug.export.graph import histogram
from nlplug.export.parity import relative_difference


def check_both_precisions(report: Any) -> None:
    """Hold an export to fp32 and int8 to its gate, and int8 to leave no product in float.

    Raises:
        AssertionError: It does not.
    """
    import onnx

    exact, small = report.results
    assert (exact.precision, small.precision) == ("fp32", "int8")
    assert relative_difference(exact.parity) < 1e-4
    assert exact.parity["agreement"] > 0.999
    # Random weights are harder on int8 than trained ones: nothing in them is redundant.
    assert small.parity["cosine"] > 0.95
    model = onnx.load(report.bundle.onnx_file("int8"))
    # A graph with branches cannot have fixed scales: its weights are stored as int8, in blocks.
    blocks = [one.name for one in model.graph.initializer if one.name.endswith("_blocks")]
    assert histogram(model).get("MatMulIntegerToFloat", len(blocks)) >= 6
    # Beside the head no product with weights is left in float.
    assert len(_float_products(model)) == 1


def _float_products(model: Any) -> list[str]:
    names = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and names.intersection(node.input[:2])
    ]

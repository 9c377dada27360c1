"""int8 for graphs with branches, such as those with one branch for the first decoding step.

`nlplug.export.quantize` changes only the nodes of the main graph, so ONNX Runtime's quantizer is
used here: products become MatMulInteger with one scale per column, and activations are quantized at
run time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from nlplug.export.decoder.export import save_graph
from nlplug.export.quiet import quiet
from nlplug.extras import require


def has_branches(graph: Any) -> bool:
    """Whether an ``onnx.ModelProto`` has nodes with subgraphs."""
    return any(node.op_type == "If" for node in graph.graph.node)


def quantize_branches(graph: Any, folder: Path) -> Any:
    """Quantize all products and tables of a float graph, including those in branches.

    Args:
        graph: An ``onnx.ModelProto`` in float32; not changed.
        folder: For temporary files; they are removed again.

    Raises:
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    tools = require("onnxruntime.quantization", "cpu", purpose="Quantization")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        source, target = Path(temporary) / "float.onnx", Path(temporary) / "int8.onnx"
        save_graph(graph, source)
        with quiet():  # it warns that a preprocessing step for image models was not run
            tools.quantize_dynamic(
                source,
                target,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
            )
        made = onnx.load(str(target))
    # The quantizer drops the graph's metadata.
    onnx.helper.set_model_props(made, {item.key: item.value for item in graph.metadata_props})
    return made

"""int8 for graphs with branches, as exports have them whose first step is another than the rest.

`nlplug.export.quantize` changes the nodes of one graph. Inside branches ONNX Runtime's own
quantizer does it: products become MatMulInteger with a scale a column, activations are quantized
while running.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from nlplug.export.decoder.export import save_graph
from nlplug.extras import require


def has_branches(graph: Any) -> bool:
    """Whether a node of an ``onnx.ModelProto`` holds graphs of its own."""
    return any(node.op_type == "If" for node in graph.graph.node)


def quantize_branches(graph: Any, folder: Path) -> Any:
    """Quantize all products and tables of a float graph, those in branches too.

    Args:
        graph: An ``onnx.ModelProto`` in float32; it stays as it is.
        folder: For temporary files; nothing stays there.

    Raises:
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    tools = require("onnxruntime.quantization", "cpu", purpose="Quantization")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        source, target = Path(temporary) / "float.onnx", Path(temporary) / "int8.onnx"
        save_graph(graph, source)
        logger = logging.getLogger()
        level = logger.level
        # It warns of a step that is meant for models of pictures.
        logger.setLevel(logging.ERROR)
        try:
            tools.quantize_dynamic(
                source,
                target,
                weight_type=tools.QuantType.QInt8,
                per_channel=True,
                extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
            )
        finally:
            logger.setLevel(level)
        made = onnx.load(str(target))
    # The quantizer drops what the graph says of itself.
    onnx.helper.set_model_props(made, {item.key: item.value for item in graph.metadata_props})
    return made

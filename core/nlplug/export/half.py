"""Half precision, for GPUs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from nlplug.export.quiet import quiet
from nlplug.extras import require


def to_half(model: Any, *, keep: Sequence[str] = ()) -> Any:
    """A copy of a float32 graph with weights and arithmetic in fp16; inputs and outputs unchanged.

    ONNX Runtime's converter keeps operators in float32 that lose too much in fp16.

    Args:
        model: The ``onnx.ModelProto``.
        keep: Names of nodes that stay in float32, with their weights.
    """
    converter = require("onnxruntime.transformers.float16", "train", purpose="Export in fp16")
    with quiet():
        return converter.convert_float_to_float16(
            copy.deepcopy(model), keep_io_types=True, node_block_list=list(keep) or None
        )

"""A causal language model as Optimum exports it: the reference, and the fallback graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nlplug.export.convert import to_onnx
from nlplug.runtime.session import build_session, session_options

_TASK = "text-generation-with-past"


def export_plain(model: Any, folder: Path) -> Any:
    """Trace a causal language model with its cache.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.

    Returns:
        ``onnx.ModelProto`` with ``past_key_values`` among its inputs and ``present`` among its
        outputs.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    return to_onnx(model, _TASK, folder)["model"]


def run_plain(path: Path, ids: np.ndarray) -> np.ndarray:
    """The logits of a plain graph at all positions, from an empty cache.

    Args:
        path: The ``.onnx`` file.
        ids: int64 of shape (rows, tokens), without padding.

    Returns:
        float32 of shape (rows, tokens, vocabulary).
    """
    session = build_session(path, session_options(1))
    rows, tokens = ids.shape
    feeds = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "position_ids": np.tile(np.arange(tokens), (rows, 1)),
    }
    for item in session.get_inputs():
        if item.name not in feeds:  # the cache: rows and tokens are symbolic sizes
            shape = [size if isinstance(size, int) else 0 for size in item.shape]
            feeds[item.name] = np.zeros([rows, *shape[1:]], np.float32)
    given = {item.name: feeds[item.name] for item in session.get_inputs()}
    logits: np.ndarray = session.run(["logits"], given)[0]
    return logits

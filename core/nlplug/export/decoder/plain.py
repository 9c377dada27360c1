"""The graph as Optimum exports it: the reference, and what runs where no fast form is known."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.export.quiet import quiet
from nlplug.extras import require
from nlplug.runtime.session import build_session, session_options

_TASK = "text-generation-with-past"


def export_plain(model: Any, folder: Path) -> Any:
    """Trace a causal language model with its cache.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; nothing stays there.

    Returns:
        ``onnx.ModelProto`` with ``past_key_values`` among its inputs and ``present`` among its
        outputs.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    exporter = require("optimum.exporters.onnx", "train", purpose="Export")
    with tempfile.TemporaryDirectory(dir=folder) as temporary, quiet():
        try:
            exporter.onnx_export_from_model(
                model,
                output=temporary,
                task=_TASK,
                do_validation=False,
                no_post_process=True,
                device="cpu",
            )
        except Exception as error:
            reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ExportError(
                f"Optimum cannot export {model.config.model_type!r} for text generation: {reason}",
                hint="Its list of architectures: https://huggingface.co/docs/optimum-onnx",
            ) from error
        return onnx.load(str(Path(temporary) / "model.onnx"))


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
        if item.name not in feeds:  # the cache: rows and tokens are symbols, the rest numbers
            shape = [size if isinstance(size, int) else 0 for size in item.shape]
            feeds[item.name] = np.zeros([rows, *shape[1:]], np.float32)
    given = {item.name: feeds[item.name] for item in session.get_inputs()}
    logits: np.ndarray = session.run(["logits"], given)[0]
    return logits

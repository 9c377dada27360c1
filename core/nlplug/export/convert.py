"""PyTorch to ONNX in float32, by Optimum's exporter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.architectures import tested
from nlplug.export.quiet import quiet
from nlplug.extras import require


def to_onnx(
    model: Any,
    exported_as: str,
    folder: Path,
    *,
    graphs: Sequence[str] = ("model",),
    tokenizer: Any = None,
    merge: bool = False,
) -> dict[str, Any]:
    """Trace a model.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode. Its weights and its
            configuration are the same afterwards.
        exported_as: Optimum's name for what the model does, such as ``text-classification``.
        folder: For temporary files; they are removed again.
        graphs: Names of the files that Optimum writes for it, without ``.onnx``.
        tokenizer: Its tokenizer, from which some architectures take the shape of their inputs.
        merge: Whether the first step of a decoder and the following ones become one graph.

    Returns:
        ``onnx.ModelProto`` by name, with int64 inputs and dynamic batch and sequence axes.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    exporter = require("optimum.exporters.onnx", "train", purpose="Export")
    # The tracer warns about every constant; the comparison with PyTorch finds real errors.
    with tempfile.TemporaryDirectory(dir=folder) as temporary, quiet(), _config_restored(model):
        try:
            exporter.onnx_export_from_model(
                model,
                output=temporary,
                task=exported_as,
                do_validation=False,
                no_post_process=not merge,
                preprocessors=None if tokenizer is None else [tokenizer],
                device="cpu",
            )
            return {name: onnx.load(str(Path(temporary) / f"{name}.onnx")) for name in graphs}
        except Exception as error:
            raise ExportError(
                f"Optimum cannot export {model.config.model_type!r} for {exported_as}: "
                f"{reason_of(error)}",
                hint=f"Architectures that are tested: {tested()}.",
            ) from error


def reason_of(error: Exception) -> str:
    """The type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


@contextmanager
def _config_restored(model: Any) -> Iterator[None]:
    """Undo what Optimum sets in the configurations of a model and of its parts.

    It leaves ``use_cache`` set in that of T5's encoder, which then cannot run in PyTorch.
    """
    kind = require("transformers", "train", purpose="Export").PreTrainedModel
    parts = [part for part in model.modules() if isinstance(part, kind)]
    configs = {id(part.config): part.config for part in parts}
    before = [(config, dict(vars(config))) for config in configs.values()]
    try:
        yield
    finally:
        for config, values in before:
            vars(config).clear()
            vars(config).update(values)

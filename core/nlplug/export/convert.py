"""PyTorch to ONNX in float32, by Optimum's exporter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug._extras import require
from nlplug.errors import ExportError
from nlplug.export.quiet import quiet

if TYPE_CHECKING:
    from nlplug.export.source import Source
    from nlplug.families.family import Family


def to_onnx(source: Source, family: Family, folder: Path) -> Any:
    """Trace the model.

    Args:
        source: The checkpoint.
        family: Decides the outputs.
        folder: For temporary files; nothing stays there.

    Returns:
        ``onnx.ModelProto`` with int64 inputs and dynamic batch and sequence axes.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    exporter = require("optimum.exporters.onnx", "train", purpose="Export")
    # The tracer warns of every constant it meets; the gate finds what would really be wrong.
    with tempfile.TemporaryDirectory(dir=folder) as temporary, quiet():
        try:
            exporter.onnx_export_from_model(
                source.model,
                output=temporary,
                task=family.exported_as,
                do_validation=False,
                no_post_process=True,
                preprocessors=[source.tokenizer],
                device="cpu",
            )
        except Exception as error:
            reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ExportError(
                f"Optimum cannot export {source.name} ({source.config.model_type}): {reason}",
                hint="Its list of architectures: https://huggingface.co/docs/optimum-onnx",
            ) from error
        return onnx.load(str(Path(temporary) / "model.onnx"))

"""The files of a bundle before the quality gate: graphs, config, tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import ExportError
from nlplug.export.sides import write_sides
from nlplug.extras import require

if TYPE_CHECKING:
    from nlplug.export.checkpoint import Checkpoint
    from nlplug.export.config import ExportConfig
    from nlplug.export.fusion import FusedGraphs
    from nlplug.export.quantize import Quantization
    from nlplug.export.smooth import Feeds

_log = logging.getLogger(__name__)


def build_float(checkpoint: Checkpoint, config: ExportConfig, folder: Path) -> FusedGraphs:
    """Write the model in the Hub's layout, in float32 and, where asked for, in fp16.

    float32 is always built, because the gate compares it with PyTorch first.

    Raises:
        ExportError: The architecture cannot be exported.
    """
    from nlplug.export.exporters.exporter import installed_exporter
    from nlplug.export.fusion import fuse

    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    write_sides(model, tokenizer, folder, max_length=config.max_length)
    (folder / "onnx").mkdir()
    _log.info("exporting %s (%s)", checkpoint.name, model.config.model_type)
    exported_as = config.task.family.exported_as
    plain = installed_exporter().one_pass(model, exported_as, folder, tokenizer)
    fused = fuse(plain, model.config, folder)
    _log.info("graph: %s", fused.note)
    _save(fused.cpu, folder / "onnx" / "model.onnx")
    if "fp16" in config.wanted:
        from nlplug.export.half import to_half

        _save(to_half(fused.gpu), folder / "onnx" / "model_fp16.onnx")
    return fused


def build_int8(
    fused: FusedGraphs, settings: Quantization, calibration: Sequence[Feeds], folder: Path
) -> None:
    """Write the int8 graph next to the others. This changes the float graph ``fused.cpu``.

    Args:
        fused: The float graphs.
        settings: How to quantize.
        calibration: Real inputs, without labels.
        folder: The model's folder.
    """
    from nlplug.export.graph import GraphEditor
    from nlplug.export.quantize import quantize
    from nlplug.export.smooth import smooth

    if settings.smooth and calibration:
        editor = GraphEditor(fused.cpu)
        changed = smooth(editor, calibration)
        editor.finish()
        _log.info("smoothed %d activations, measured on %d texts", changed, len(calibration))
    _save(quantize(fused.cpu, settings), folder / "onnx" / "model_int8.onnx")


def _save(model: Any, path: Path) -> None:
    onnx = require("onnx", "train", purpose="Export")
    try:
        onnx.save(model, str(path))
    except ValueError as error:
        raise ExportError(
            f"{path.name} cannot be saved: {str(error)[:200]}",
            hint="Graphs of more than 2 GB are not supported.",
        ) from error

"""The files of a bundle before the gate has seen them: graphs, config, tokenizer."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import ExportError, OptionError
from nlplug.extras import require
from nlplug.models.layout import TARGET_TOKENIZER_FILE, window_of

if TYPE_CHECKING:
    from nlplug.export.fusion import FusedGraphs
    from nlplug.export.quantize import Quantization
    from nlplug.export.run import ExportConfig
    from nlplug.export.smooth import Feeds
    from nlplug.export.source import Source

_log = logging.getLogger(__name__)

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def build_float(source: Source, config: ExportConfig, folder: Path) -> FusedGraphs:
    """Write the model in the Hub's layout, in float32 and, where asked for, in fp16.

    float32 is always built, since the gate starts from it.

    Raises:
        ExportError: The architecture cannot be exported.
    """
    from nlplug.export.convert import to_onnx
    from nlplug.export.fusion import fuse

    write_sides(source, config, folder)
    (folder / "onnx").mkdir()
    _log.info("exporting %s (%s)", source.name, source.config.model_type)
    fused = fuse(to_onnx(source, config.task, folder), source.config, folder)
    _log.info("graph: %s", fused.note)
    _save(fused.cpu, folder / "onnx" / "model.onnx")
    if "fp16" in config.wanted:
        from nlplug.export.half import to_half

        _save(to_half(fused.gpu), folder / "onnx" / "model_fp16.onnx")
    return fused


def build_int8(
    fused: FusedGraphs, settings: Quantization, calibration: Sequence[Feeds], folder: Path
) -> None:
    """Write the int8 graph beside the others; the float graph is used up.

    Args:
        fused: The float graphs.
        settings: How to quantize.
        calibration: Real inputs, unlabelled.
        folder: The model's folder.
    """
    from nlplug.export.graph import GraphEditor
    from nlplug.export.quantize import quantize
    from nlplug.export.smooth import smooth

    if settings.smooth and calibration:
        editor = GraphEditor(fused.cpu)
        changed = smooth(editor, calibration)
        editor.finish()
        _log.info("evened out %d activations on %d texts", changed, len(calibration))
    _save(quantize(fused.cpu, settings), folder / "onnx" / "model_int8.onnx")


def write_sides(source: Source, config: ExportConfig, folder: Path) -> None:
    source.tokenizer.save_pretrained(folder / "tokenizer")
    for name in _TOKENIZER_FILES:
        if (folder / "tokenizer" / name).is_file():
            (folder / "tokenizer" / name).rename(folder / name)
    for left in (folder / "tokenizer").iterdir():
        left.unlink()
    (folder / "tokenizer").rmdir()
    if source.target_tokenizer is not None:
        source.target_tokenizer.save(str(folder / TARGET_TOKENIZER_FILE))
    settings = json.loads(source.config.to_json_string(use_diff=True))
    settings["architectures"] = [type(source.model).__name__]
    settings.pop("_name_or_path", None)
    _write_json(folder / "config.json", settings)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_bytes())
    window = window_of(settings, tokenizer)
    if config.max_length is not None:
        if config.max_length > window:
            raise OptionError(
                f"max_length is {config.max_length}, but the model's window is {window} tokens.",
                hint=f"Give at most {window}.",
            )
        window = config.max_length
    for name in ("name_or_path", "tokenizer_file"):  # folders of this machine
        tokenizer.pop(name, None)
    # Stated here too, so that other programs cut texts where this one does.
    tokenizer["model_max_length"] = window
    _write_json(folder / "tokenizer_config.json", tokenizer)


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _save(model: Any, path: Path) -> None:
    onnx = require("onnx", "train", purpose="Export")
    try:
        onnx.save(model, str(path))
    except ValueError as error:
        raise ExportError(
            f"{path.name} cannot be saved: {str(error)[:200]}",
            hint="Graphs of more than 2 GB are not supported.",
        ) from error

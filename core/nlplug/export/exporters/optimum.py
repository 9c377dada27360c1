"""PyTorch to ONNX by Optimum's exporter, which traces a model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.architectures import tested
from nlplug.export.quiet import quiet
from nlplug.export.reasons import reason_of
from nlplug.extras import require
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH, MODEL_GRAPH


class OptimumExporter:
    """See `nlplug.export.exporters.exporter.Exporter`."""

    name = "optimum"

    def one_pass(self, model: Any, exported_as: str, folder: Path, tokenizer: Any = None) -> Any:
        """See `Exporter.one_pass`."""
        graphs = _traced(model, exported_as, folder, (MODEL_GRAPH,), tokenizer=tokenizer)
        return graphs[MODEL_GRAPH]

    def causal(self, model: Any, folder: Path) -> Any:
        """See `Exporter.causal`."""
        return _traced(model, "text-generation-with-past", folder, (MODEL_GRAPH,))[MODEL_GRAPH]

    def encoder_decoder(self, model: Any, folder: Path) -> dict[str, Any]:
        """See `Exporter.encoder_decoder`."""
        graphs = (ENCODER_GRAPH, DECODER_GRAPH)
        return _traced(model, "text2text-generation-with-past", folder, graphs, merge=True)


def _traced(
    model: Any,
    exported_as: str,
    folder: Path,
    graphs: Sequence[str],
    *,
    tokenizer: Any = None,
    merge: bool = False,
) -> dict[str, Any]:
    """Trace a model.

    Args:
        model: The model.
        exported_as: Optimum's name for what the model does.
        folder: For temporary files.
        graphs: Names of the files that Optimum writes for it, without ``.onnx``.
        tokenizer: Its tokenizer.
        merge: Whether the first step of a decoder and the following ones become one graph.
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

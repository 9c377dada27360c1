"""A text-to-text model as the exporter gives it, for architectures without a fast form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlplug.export.decoder.encoder_decoder_weights import start_token
from nlplug.export.exporters.exporter import installed_exporter
from nlplug.extras import require
from nlplug.models.layout import DECODER_GRAPH, positions_of
from nlplug.runtime.decoding.decoder import ENCODER_DECODER_KEY, NO_LIMIT, EncoderDecoderSpec


def export_plain_encoder_decoder(model: Any, folder: Path) -> dict[str, Any]:
    """Export a text-to-text model with its cache.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.

    Returns:
        ``onnx.ModelProto`` by name, `ENCODER_GRAPH` and `DECODER_GRAPH`; the decoder has one
        branch for its first step and one for the following steps, and an `EncoderDecoderSpec` in
        its metadata.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    graphs = installed_exporter().encoder_decoder(model, folder)
    spec = _spec(model, graphs[DECODER_GRAPH])
    onnx.helper.set_model_props(graphs[DECODER_GRAPH], {ENCODER_DECODER_KEY: spec.to_json()})
    return graphs


def _spec(model: Any, decoder: Any) -> EncoderDecoderSpec:
    outputs = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in decoder.graph.output
    }
    cache = outputs["present.0.decoder.key"]
    # Where positions are relative, there is no limit.
    context = positions_of(model.config.to_dict()) or NO_LIMIT
    return EncoderDecoderSpec(
        layers=sum(name.endswith("decoder.key") for name in outputs),
        kv_heads=cache[1],
        head_size=cache[3],
        vocabulary=outputs["logits"][-1],
        context=context,
        positions=False,
        start=start_token(model),
        source_vocabulary=int(model.get_encoder().get_input_embeddings().weight.shape[0]),
        source_context=context,
        fast=False,
    )

"""A text-to-text model as Optimum exports it: the reference, and the fallback graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.convert import to_onnx
from nlplug.extras import require
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH
from nlplug.runtime.decoding.decoder import ENCODER_DECODER_KEY, NO_LIMIT, EncoderDecoderSpec

_TASK = "text2text-generation-with-past"


def export_plain_encoder_decoder(model: Any, folder: Path) -> dict[str, Any]:
    """Trace a text-to-text model with its cache.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.

    Returns:
        ``onnx.ModelProto`` by name, `ENCODER_GRAPH` and `DECODER_GRAPH`; the decoder has one
        branch for its first step and one for the following steps, and a `EncoderDecoderSpec` in its
        metadata.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    graphs = to_onnx(model, _TASK, folder, graphs=(ENCODER_GRAPH, DECODER_GRAPH), merge=True)
    spec = _spec(model, graphs[DECODER_GRAPH])
    onnx.helper.set_model_props(graphs[DECODER_GRAPH], {ENCODER_DECODER_KEY: spec.to_json()})
    return graphs


def start_token(model: Any) -> int:
    """The first token of the decoder's texts, as ``generate`` determines it.

    Raises:
        ExportError: The model does not define it.
    """
    for config in (model.generation_config, model.config):
        for name in ("decoder_start_token_id", "bos_token_id"):
            token = getattr(config, name, None)
            if token is not None:
                return int(token)
    raise ExportError(
        "The model does not define the first token of its decoder's texts.",
        hint="Add decoder_start_token_id to its generation_config.json.",
    )


def _spec(model: Any, decoder: Any) -> EncoderDecoderSpec:
    outputs = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in decoder.graph.output
    }
    cache = outputs["present.0.decoder.key"]
    # Where positions are relative, there is no limit.
    context = int(getattr(model.config, "max_position_embeddings", None) or NO_LIMIT)
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

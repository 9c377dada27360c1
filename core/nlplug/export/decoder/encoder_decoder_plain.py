"""A text-to-text model as Optimum exports it: the reference, and what runs without a fast form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.quiet import quiet
from nlplug.extras import require
from nlplug.runtime.decoding.decoder import NO_LIMIT, SEQ2SEQ_KEY, Seq2SeqSpec

ENCODER, DECODER = "encoder_model", "decoder_model_merged"
"""Names of the two graphs, as repositories on the Hub have them."""

_TASK = "text2text-generation-with-past"


def export_plain_seq2seq(model: Any, folder: Path) -> dict[str, Any]:
    """Trace a text-to-text model with its cache.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; nothing stays there.

    Returns:
        ``onnx.ModelProto`` by name, `ENCODER` and `DECODER`; the decoder has a branch for its
        first step and one for all others, and a `Seq2SeqSpec` in its metadata.

    Raises:
        ExportError: The architecture cannot be exported.
        MissingExtra: optimum-onnx or onnx is not installed.
    """
    onnx = require("onnx", "train", purpose="Export")
    exporter = require("optimum.exporters.onnx", "train", purpose="Export")
    with tempfile.TemporaryDirectory(dir=folder) as temporary, quiet():
        try:
            exporter.onnx_export_from_model(
                model, output=temporary, task=_TASK, do_validation=False, device="cpu"
            )
            graphs = {
                name: onnx.load(str(Path(temporary) / f"{name}.onnx"))
                for name in (ENCODER, DECODER)
            }
        except Exception as error:
            reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise ExportError(
                f"Optimum cannot export {model.config.model_type!r} for text to text: {reason}",
                hint="Its list of architectures: https://huggingface.co/docs/optimum-onnx",
            ) from error
    spec = _spec(model, graphs[DECODER])
    onnx.helper.set_model_props(graphs[DECODER], {SEQ2SEQ_KEY: spec.to_json()})
    return graphs


def start_token(model: Any) -> int:
    """The token that the decoder's texts begin with, as ``generate`` finds it.

    Raises:
        ExportError: The model does not tell.
    """
    for config in (model.generation_config, model.config):
        for name in ("decoder_start_token_id", "bos_token_id"):
            token = getattr(config, name, None)
            if token is not None:
                return int(token)
    raise ExportError(
        "The model does not tell the token that its decoder's texts begin with.",
        hint="Put decoder_start_token_id into its generation_config.json.",
    )


def context_of(model: Any) -> int:
    """Most tokens that positions exist for; `NO_LIMIT` where they are relative."""
    return int(getattr(model.config, "max_position_embeddings", None) or NO_LIMIT)


def _spec(model: Any, decoder: Any) -> Seq2SeqSpec:
    outputs = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in decoder.graph.output
    }
    cache = outputs["present.0.decoder.key"]
    context = context_of(model)
    return Seq2SeqSpec(
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

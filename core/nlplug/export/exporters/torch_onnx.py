"""PyTorch to ONNX by ``torch.onnx`` with ``torch.export``, for transformers 5."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from nlplug.errors import ExportError
from nlplug.export.architectures import ENCODERS, ENCODERS_5
from nlplug.export.exporters.marked_attention import define_marks, marked
from nlplug.export.exporters.torch_names import name_by_module
from nlplug.export.quiet import quiet
from nlplug.export.reasons import reason_of
from nlplug.extras import require

OPSET = 20
"""The first version of ONNX in which GELU is one operator."""

_ROWS, _TOKENS, _PAST = 3, 7, 5
"""Sizes of the example; torch.export takes sizes 0 and 1, and equal sizes, for constants."""

_BATCH = "batch_size"

_CAUSAL = (
    "bloom, codegen, gemma, gemma2, gpt2, gpt_bigcode, gpt_neox, gptj, llama, mistral, olmo, opt, "
    "phi, phi3, qwen2, qwen3, smollm3, stablelm, starcoder2, xglm"
)


class TorchExporter:
    """See `nlplug.export.exporters.exporter.Exporter`."""

    name = "torch.onnx"

    def one_pass(self, model: Any, exported_as: str, folder: Path, tokenizer: Any = None) -> Any:
        """See `Exporter.one_pass`."""
        _check_installed()
        shape = (_ROWS, _TOKENS)
        examples = {
            "input_ids": _ids(model, shape),
            "attention_mask": torch.ones(shape, dtype=torch.int64),
            "token_type_ids": torch.zeros(shape, dtype=torch.int64),
        }
        accepted = inspect.signature(model.forward).parameters
        given = {name: value for name, value in examples.items() if name in accepted}
        if (getattr(model.config, "type_vocab_size", None) or 0) < 2:
            given.pop("token_type_ids", None)
        shapes = {name: {0: _BATCH, 1: "sequence_length"} for name in given}
        try:
            with quiet(), marked(model), torch.inference_mode():
                found = model(**given, return_dict=True)
                outputs = [name for name, one in found.items() if isinstance(one, torch.Tensor)]
                return _exported(model, given, shapes, list(given), outputs)
        except Exception as error:
            raise _refusal(model, error, ", ".join(ENCODERS + ENCODERS_5)) from error

    def causal(self, model: Any, folder: Path) -> Any:
        """See `Exporter.causal`."""
        _check_installed()
        try:
            with quiet(), torch.inference_mode():
                ids = _ids(model, (_ROWS, _TOKENS))
                known = model(ids, use_cache=True).past_key_values
                past = [
                    torch.zeros(_ROWS, part.shape[1], _PAST, part.shape[3])
                    for layer in known.layers
                    for part in (layer.keys, layer.values)
                ]
                given = {
                    "input_ids": ids,
                    "attention_mask": torch.ones(_ROWS, _PAST + _TOKENS, dtype=torch.int64),
                    "position_ids": torch.arange(_PAST, _PAST + _TOKENS).repeat(_ROWS, 1),
                    "past": past,
                }
                tokens = {0: _BATCH, 1: "sequence_length"}
                cache = {0: _BATCH, 2: "past_sequence_length"}
                shapes = {
                    "input_ids": tokens,
                    "attention_mask": {0: _BATCH, 1: "total_sequence_length"},
                    "position_ids": tokens,
                    "past": [cache] * len(past),
                }
                parts = [
                    f"{layer}.{part}"
                    for layer in range(len(past) // 2)
                    for part in ("key", "value")
                ]
                inputs = ["input_ids", "attention_mask", "position_ids"]
                return _exported(
                    _WithCache(model),
                    given,
                    shapes,
                    inputs + [f"past_key_values.{part}" for part in parts],
                    ["logits", *(f"present.{part}" for part in parts)],
                )
        except Exception as error:
            raise _refusal(model, error, _CAUSAL) from error

    def encoder_decoder(self, model: Any, folder: Path) -> dict[str, Any]:
        """See `Exporter.encoder_decoder`; there are none, models with a fast form need none."""
        from nlplug.export.decoder.read import ENCODER_DECODER_READERS

        raise ExportError(
            f"Models with an encoder of the type {model.config.model_type!r} cannot be exported "
            "with transformers 5.",
            hint=f"These can be: {', '.join(sorted(ENCODER_DECODER_READERS))}. Others can be with "
            "transformers 4: pip install 'nlplug[train]'",
        )


class _WithCache(torch.nn.Module):
    """A causal language model whose cache is a list of tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Any, attention_mask: Any, position_ids: Any, past: Sequence[Any]
    ) -> tuple[Any, ...]:
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        present = [part for layer in cache.layers for part in (layer.keys, layer.values)]
        return found.logits, *present


def _check_installed() -> None:
    require("onnxscript", "train5", purpose="Export with transformers 5")


def _ids(model: Any, shape: tuple[int, int]) -> Any:
    """Tokens that are not padding, from which some models compute positions."""
    padding = getattr(model.config, "pad_token_id", None)
    return torch.full(shape, 1 if padding != 1 else 2)


def _exported(
    model: Any,
    given: Mapping[str, Any],
    shapes: Mapping[str, Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> Any:
    program = torch.onnx.export(
        model,
        (),
        kwargs=dict(given),
        dynamo=True,
        dynamic_shapes=dict(shapes),
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET,
        verbose=False,
    )
    graph = program.model_proto
    name_by_module(graph)
    define_marks(graph)
    return graph


def _refusal(model: Any, error: Exception, known: str) -> ExportError:
    return ExportError(
        f"torch.onnx cannot export {model.config.model_type!r}: {reason_of(error)}",
        hint=f"Architectures that can be exported: {known}.",
    )

"""From a loaded checkpoint to the weights of a decoder, by its architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nlplug.export.decoder import bart, gpt2, gpt_neox, llama, t5
from nlplug.export.decoder.encoder_decoder_weights import EncoderDecoderWeights
from nlplug.export.decoder.weights import DecoderWeights, NoFastForm

READERS: dict[str, Callable[[Any], DecoderWeights]] = {
    "gpt2": gpt2.read,
    "gpt_neox": gpt_neox.read,
    "llama": llama.read,
    "mistral": llama.read,
    "qwen2": llama.read,
}
"""Causal model types of transformers that have a fast form."""

ENCODER_DECODER_READERS: dict[str, Callable[[Any], EncoderDecoderWeights]] = {
    "bart": bart.read,
    "m2m_100": bart.read,
    "marian": bart.read,
    "mbart": bart.read,
    "mt5": t5.read,
    "pegasus": bart.read,
    "t5": t5.read,
}
"""Text-to-text model types that have a fast form."""

Weights = TypeVar("Weights")


def read_decoder(model: Any) -> DecoderWeights:
    """The weights of a causal language model.

    Args:
        model: A ``transformers.PreTrainedModel`` with a language modelling head.

    Raises:
        NoFastForm: The architecture, or something in this model, has no fast form.
    """
    return _read(model, READERS)


def read_encoder_decoder(model: Any) -> EncoderDecoderWeights:
    """The weights of a text-to-text model.

    Args:
        model: A ``transformers.PreTrainedModel`` for conditional generation.

    Raises:
        NoFastForm: The architecture, or something in this model, has no fast form.
    """
    return _read(model, ENCODER_DECODER_READERS)


def _read(model: Any, readers: Mapping[str, Callable[[Any], Weights]]) -> Weights:
    model_type = model.config.model_type
    if model_type not in readers:
        raise NoFastForm(f"architecture {model_type!r}")
    return readers[model_type](model)

"""From a loaded checkpoint to the weights of a decoder, by its architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nlplug.export.decoder import bart, gpt2, gpt_neox, llama, t5
from nlplug.export.decoder.encoder_decoder_weights import Seq2SeqWeights
from nlplug.export.decoder.weights import DecoderWeights, NoFastForm

READERS: dict[str, Callable[[Any], DecoderWeights]] = {
    "gpt2": gpt2.read,
    "gpt_neox": gpt_neox.read,
    "llama": llama.read,
    "mistral": llama.read,
    "qwen2": llama.read,
}
"""Causal model types of transformers that have a fast form."""

SEQ2SEQ_READERS: dict[str, Callable[[Any], Seq2SeqWeights]] = {
    "bart": bart.read,
    "m2m_100": bart.read,
    "marian": bart.read,
    "mbart": bart.read,
    "mt5": t5.read,
    "pegasus": bart.read,
    "t5": t5.read,
}
"""Text-to-text model types that have one."""


def read_decoder(model: Any) -> DecoderWeights:
    """The weights of a causal language model.

    Args:
        model: A ``transformers.PreTrainedModel`` with a language modelling head.

    Raises:
        NoFastForm: The architecture, or something in this model, has no fast form.
    """
    model_type = model.config.model_type
    if model_type not in READERS:
        raise NoFastForm(f"architecture {model_type!r}")
    return READERS[model_type](model)


def read_seq2seq(model: Any) -> Seq2SeqWeights:
    """The weights of a text-to-text model.

    Args:
        model: A ``transformers.PreTrainedModel`` for conditional generation.

    Raises:
        NoFastForm: The architecture, or something in this model, has no fast form.
    """
    model_type = model.config.model_type
    if model_type not in SEQ2SEQ_READERS:
        raise NoFastForm(f"architecture {model_type!r}")
    return SEQ2SEQ_READERS[model_type](model)

"""The weights of a text-to-text model, in one form for all architectures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.export.decoder.weights import Block, Linear, NoFastForm, Norm


@dataclass(frozen=True)
class Cross:
    """Cross-attention of a decoder layer to the source, between its other two parts.

    Attributes:
        norm: Before the part, or after it in post-norm models.
        query: Queries of all heads.
        key: Keys of the source.
        value: Values of the source.
        out: The product after attention.
    """

    norm: Norm
    query: Linear
    key: Linear
    value: Linear
    out: Linear


@dataclass(frozen=True)
class Stack:
    """An encoder, or a decoder without its head.

    Attributes:
        heads: Number of attention heads.
        head_size: Size of a head.
        scale: Factor of the attention scores.
        context: Maximum number of positions.
        embeddings: Shape (vocabulary, hidden), with the scale of the first layer's input.
        positions: Shape (context, hidden), or None.
        relative: Bias of the attention scores by distance between tokens, or None. In an encoder
            its shape is (heads, 2 n + 1), from n tokens before to n tokens after; larger distances
            count as n. In a decoder (heads, n + 1), from the same token to n tokens before.
        embedding_norm: The norm after the embeddings, or None.
        layers: From the first to the last.
        final_norm: The norm after the last layer, or None.
    """

    heads: int
    head_size: int
    scale: float
    context: int
    embeddings: np.ndarray
    positions: np.ndarray | None
    relative: np.ndarray | None
    embedding_norm: Norm | None
    layers: tuple[Block, ...]
    final_norm: Norm | None

    @property
    def hidden(self) -> int:
        """Size of a token's vector."""
        return int(self.embeddings.shape[1])

    @property
    def vocabulary(self) -> int:
        """Number of tokens in the vocabulary."""
        return int(self.embeddings.shape[0])

    def scaled(self, factor: float) -> Stack:
        """This stack with its output, which must come from a norm, multiplied by a factor."""
        if self.final_norm is not None:
            return replace(self, final_norm=_scaled(self.final_norm, factor))
        last = replace(self.layers[-1], mlp_norm=_scaled(self.layers[-1].mlp_norm, factor))
        return replace(self, layers=(*self.layers[:-1], last))


@dataclass(frozen=True)
class EncoderDecoderWeights:
    """A text-to-text model, in float32.

    Attributes:
        encoder: Reads the source.
        decoder: Writes the text.
        cross: Cross-attention of each layer of the decoder.
        head: The product that gives logits; None when it is the decoder's embeddings transposed.
        logits_bias: Added to the logits if there is no ``head``, shape (vocabulary,), or None.
        activation: A value of `nlplug.export.decoder.weights.ACTIVATIONS`.
        gated: Whether the activation of one half of ``up`` is multiplied with the other half.
        norm_first: Whether norms come before the parts of a layer, not after.
        start: The first token of every text.
    """

    encoder: Stack
    decoder: Stack
    cross: tuple[Cross, ...]
    head: Linear | None
    logits_bias: np.ndarray | None
    activation: str
    gated: bool
    norm_first: bool
    start: int

    def __post_init__(self) -> None:
        # GroupQueryAttention's own condition on the CPU.
        if self.decoder.head_size % 8:
            raise NoFastForm(f"heads of {self.decoder.head_size} numbers, not a multiple of 8")

    @property
    def vocabulary(self) -> int:
        """Number of logits."""
        return self.decoder.vocabulary if self.head is None else int(self.head.weight.shape[1])


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


def _scaled(norm: Norm, factor: float) -> Norm:
    bias = None if norm.bias is None else norm.bias * np.float32(factor)
    return replace(norm, weight=norm.weight * np.float32(factor), bias=bias)

"""What a text-to-text model is made of, whatever its checkpoint calls the parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nlplug.export.decoder.weights import Block, Linear, NoFastForm, Norm


@dataclass(frozen=True)
class Cross:
    """What a layer of the decoder asks the source with, between its other two parts.

    Attributes:
        norm: Before, or behind.
        query: Queries of all heads.
        key: Keys of the source.
        value: Values of the source.
        out: After attention.
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
        heads: Of attention.
        head_size: Numbers in a head.
        scale: Of the scores of attention.
        context: Most tokens that positions exist for.
        embeddings: Shape (vocabulary, hidden), scaled as they enter the first layer.
        positions: Shape (context, hidden), or None.
        relative: What distances between tokens add to the scores of attention, or None. Of an
            encoder shape (heads, 2 n + 1), from n tokens before to n tokens after, where n and
            all further are alike; of a decoder (heads, n + 1), from the same token to n before.
        embedding_norm: Right after the embeddings, or None.
        layers: From the first to the last.
        final_norm: After the last layer, or None.
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
        """Numbers a token."""
        return int(self.embeddings.shape[1])

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self.embeddings.shape[0])

    def scaled(self, factor: float) -> Stack:
        """With its last output, which must come from a norm, times a factor."""
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
        cross: Attention to the source, of each layer of the decoder.
        head: The product that gives logits; None when it is the decoder's embeddings transposed.
        logits_bias: Added to the logits where there is no ``head`` that has a bias of its own,
            shape (vocabulary,), or None.
        activation: A value of `nlplug.export.decoder.weights.ACTIVATIONS`.
        gated: The activation of one half of ``up`` is multiplied with the other half.
        norm_first: Norms stand before the parts of a layer, not after.
        start: The token that texts begin with.
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
        """How many logits there are."""
        return self.decoder.vocabulary if self.head is None else int(self.head.weight.shape[1])


def _scaled(norm: Norm, factor: float) -> Norm:
    bias = None if norm.bias is None else norm.bias * np.float32(factor)
    return replace(norm, weight=norm.weight * np.float32(factor), bias=bias)

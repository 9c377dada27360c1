"""The weights of a causal decoder, in one form for all architectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlplug.errors import ExportError

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""Names of activations in transformers' configurations, and the function of each."""


class NoFastForm(Exception):
    """The fast graph does not support something in the model; the message names it."""


@dataclass(frozen=True)
class Linear:
    """A product: ``weight`` of shape (inputs, outputs), ``bias`` of shape (outputs,) or None."""

    weight: np.ndarray
    bias: np.ndarray | None = None

    @classmethod
    def join(cls, parts: Sequence[Linear]) -> Linear:
        """Several products of one input as one; a missing bias is zero if others are there."""
        weight = np.concatenate([part.weight for part in parts], axis=1)
        if all(part.bias is None for part in parts):
            return cls(weight)
        biases = [
            np.zeros(part.weight.shape[1], np.float32) if part.bias is None else part.bias
            for part in parts
        ]
        return cls(weight, np.concatenate(biases))


@dataclass(frozen=True)
class Norm:
    """Layer normalization; with ``rms``, which has no ``bias``, by the root mean square."""

    weight: np.ndarray
    epsilon: float
    bias: np.ndarray | None = None
    rms: bool = False


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: cosines and sines, each of shape (context, rotated numbers / 2)."""

    cos: np.ndarray
    sin: np.ndarray


@dataclass(frozen=True)
class Block:
    """One layer; each norm comes before its part, or after it in post-norm models.

    Attributes:
        attention_norm: Norm of self-attention.
        qkv: Queries of all heads, then keys, then values, in one product.
        attention_out: The product after attention.
        mlp_norm: Norm of the feed-forward part.
        up: The first product of the feed-forward part; with a gate, the gate's columns first.
        down: The last product of the feed-forward part.
    """

    attention_norm: Norm
    qkv: Linear
    attention_out: Linear
    mlp_norm: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True)
class DecoderWeights:
    """A causal language model, in float32.

    Attributes:
        heads: Query heads.
        kv_heads: Heads of keys and values.
        head_size: Size of a head.
        context: Maximum number of positions.
        embeddings: Shape (vocabulary, hidden).
        positions: Learned positions, shape (context, hidden), or None.
        rotary: Rotary positions, or None.
        blocks: The layers.
        final_norm: The norm before the head.
        head: The product that gives logits; None when it is the embeddings transposed.
        activation: A value of `ACTIVATIONS`.
        gated: Whether the activation of one half of ``up`` is multiplied with the other half.
        parallel: Whether attention and feed-forward both read the layer's input.
    """

    heads: int
    kv_heads: int
    head_size: int
    context: int
    embeddings: np.ndarray
    positions: np.ndarray | None
    rotary: Rotary | None
    blocks: tuple[Block, ...]
    final_norm: Norm
    head: Linear | None
    activation: str
    gated: bool = False
    parallel: bool = False

    def __post_init__(self) -> None:
        # GroupQueryAttention's own conditions on the CPU.
        if self.head_size % 8:
            raise NoFastForm(f"heads of {self.head_size} numbers, not a multiple of 8")
        if self.rotary is None:
            return
        if self.head_size % 16:
            raise NoFastForm(f"rotary heads of {self.head_size} numbers, not a multiple of 16")
        if self.rotary.cos.shape[1] % 8:
            raise NoFastForm(f"rotation of {2 * self.rotary.cos.shape[1]} numbers of a head")

    @property
    def vocabulary(self) -> int:
        """Number of tokens in the vocabulary."""
        return int(self.embeddings.shape[0])

    @property
    def hidden(self) -> int:
        """Size of a token's vector."""
        return int(self.embeddings.shape[1])


def array(tensor: Any) -> np.ndarray:
    """A PyTorch parameter as float32."""
    values: np.ndarray = tensor.detach().float().cpu().numpy()
    return values


def linear(module: Any) -> Linear:
    """A ``torch.nn.Linear``, whose weight is stored as (outputs, inputs)."""
    bias = getattr(module, "bias", None)
    return Linear(array(module.weight).T, None if bias is None else array(bias))


def layer_norm(module: Any) -> Norm:
    """A ``torch.nn.LayerNorm``."""
    return Norm(array(module.weight), float(module.eps), array(module.bias))


def rms_norm(module: Any) -> Norm:
    """A normalization by the root mean square, as Llama and T5 have it."""
    return Norm(array(module.weight), float(module.variance_epsilon), rms=True)


def activation(name: Any) -> str:
    """The function for an activation's name in a configuration.

    Raises:
        NoFastForm: The name is not in `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise NoFastForm(f"activation {name!r}")
    return ACTIVATIONS[name]


def head(model: Any, embeddings: np.ndarray) -> Linear | None:
    """The output product of a model, or None when it equals the embeddings."""
    module = model.get_output_embeddings()
    product = linear(module)
    if product.bias is None and np.array_equal(product.weight.T, embeddings):
        return None
    return product


def check_rotary(config: Any) -> None:
    """Refuse rotary positions that are other ones from some length on, within the context.

    A graph keeps those of the length with which it was traced, so later logits would be wrong.

    Raises:
        ExportError: The positions are of such a type.
    """
    scaling = getattr(config, "rope_scaling", None) or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind != "longrope":
        return
    context = config.max_position_embeddings
    original = getattr(config, "original_max_position_embeddings", None)
    original = scaling.get("original_max_position_embeddings") or original or context
    if original < context:
        raise ExportError(
            f"The rotary positions are of type {kind!r}: they change at {original} tokens, which a "
            "graph cannot do.",
            hint="Use a model with positions of another type, such as llama3 or yarn.",
        )


def rotary(module: Any, context: int) -> Rotary:
    """The tables of the rotary embedding of a loaded checkpoint.

    Raises:
        NoFastForm: Its frequencies change with the length of the text.
    """
    kind = getattr(module, "rope_type", "default")
    # Dynamic ones change beyond the context only, where texts end.
    if kind not in ("default", "dynamic", "linear", "llama3", "yarn"):
        raise NoFastForm(
            f"rotary positions of type {kind!r}, which depend on the length of the text; texts end "
            f"at {context} tokens"
        )
    frequencies = array(module.inv_freq)
    angles = np.arange(context, dtype=np.float32)[:, None] * frequencies
    scaling = np.float32(getattr(module, "attention_scaling", 1.0))
    return Rotary(np.cos(angles) * scaling, np.sin(angles) * scaling)

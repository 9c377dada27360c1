"""Moving scales out of outlier channels of decoders, without changing their results.

As `nlplug.export.repair.fold` does for graphs, but from the weights alone: a channel that one
weight computes and others read is scaled so that the largest weights on both sides are equal (Nagel
et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nlplug.export.decoder.encoder_decoder_weights import Cross, EncoderDecoderWeights, Stack
from nlplug.export.decoder.weights import Block, DecoderWeights, Linear, Norm

_TINY = 1e-20


def balance_decoder(weights: DecoderWeights) -> DecoderWeights:
    """Balance a causal language model."""
    size = weights.kv_heads * weights.head_size
    blocks = tuple(
        _block(
            block,
            kv_size=size,
            head_size=weights.head_size,
            activation=weights.activation,
            gated=weights.gated,
            norm_first=True,
        )
        for block in weights.blocks
    )
    final, head = weights.final_norm, weights.head
    if head is not None:
        final, (head,) = _from_norm(final, [head])
    return replace(weights, blocks=blocks, final_norm=final, head=head)


def balance_encoder_decoder(weights: EncoderDecoderWeights) -> EncoderDecoderWeights:
    """Balance a text-to-text model."""
    cross = list(weights.cross)
    encoder, decoder = (_stack(stack, weights) for stack in (weights.encoder, weights.decoder))
    if encoder.final_norm is not None:
        readers = [part for one in cross for part in (one.key, one.value)]
        final, changed = _from_norm(encoder.final_norm, readers)
        encoder = replace(encoder, final_norm=final)
        pairs = zip(changed[::2], changed[1::2], strict=True)
        cross = [
            replace(one, key=key, value=value)
            for one, (key, value) in zip(cross, pairs, strict=True)
        ]
    return replace(
        weights,
        encoder=encoder,
        decoder=decoder,
        cross=tuple(_cross(one, norm_first=weights.norm_first) for one in cross),
    )


def _stack(stack: Stack, weights: EncoderDecoderWeights) -> Stack:
    layers = tuple(
        _block(
            layer,
            kv_size=stack.heads * stack.head_size,
            head_size=stack.head_size,
            activation=weights.activation,
            gated=weights.gated,
            norm_first=weights.norm_first,
        )
        for layer in stack.layers
    )
    return replace(stack, layers=layers)


def _cross(cross: Cross, *, norm_first: bool) -> Cross:
    if norm_first:
        norm, (query,) = _from_norm(cross.norm, [cross.query])
        cross = replace(cross, norm=norm, query=query)
    scale = _scale(_columns(cross.value), _rows(cross.out))
    return replace(cross, value=_divided(cross.value, scale), out=_multiplied(cross.out, scale))


def _block(
    block: Block, *, kv_size: int, head_size: int, activation: str, gated: bool, norm_first: bool
) -> Block:
    if norm_first:
        attention_norm, (qkv,) = _from_norm(block.attention_norm, [block.qkv])
        mlp_norm, (up,) = _from_norm(block.mlp_norm, [block.up])
        block = replace(block, attention_norm=attention_norm, qkv=qkv, mlp_norm=mlp_norm, up=up)
    block = _values(block, kv_size, head_size)
    if not gated and activation != "relu":
        return block
    inner = len(block.down.weight)
    first = inner if gated else 0
    scale = _scale(_columns(block.up)[first:], _rows(block.down))
    whole = np.concatenate([np.ones(first, np.float32), scale])
    return replace(block, up=_divided(block.up, whole), down=_multiplied(block.down, scale))


def _values(block: Block, kv_size: int, head_size: int) -> Block:
    """Values and the product after attention; several query heads may share a head of values."""
    out = block.attention_out
    shared = len(out.weight) // kv_size
    by_head = _rows(out).reshape(-1, shared, head_size).max(axis=1).ravel()
    columns = block.qkv.weight.shape[1]
    scale = _scale(_columns(block.qkv)[columns - kv_size :], by_head)
    whole = np.concatenate([np.ones(columns - kv_size, np.float32), scale])
    wide = np.repeat(scale.reshape(-1, head_size), shared, axis=0).ravel()
    return replace(block, qkv=_divided(block.qkv, whole), attention_out=_multiplied(out, wide))


def _from_norm(norm: Norm, readers: Sequence[Linear]) -> tuple[Norm, list[Linear]]:
    """A norm that only these products read."""
    size = np.abs(norm.weight)
    if norm.bias is not None:
        size = np.maximum(size, np.abs(norm.bias))
    scale = _scale(size, np.max([_rows(reader) for reader in readers], axis=0))
    bias = None if norm.bias is None else norm.bias / scale
    changed = [_multiplied(reader, scale) for reader in readers]
    return replace(norm, weight=norm.weight / scale, bias=bias), changed


def _scale(made: np.ndarray, read: np.ndarray) -> np.ndarray:
    """What channels are divided by, with the geometric mean 1; 1 for channels that are zero."""
    active = (made > _TINY) & (read > _TINY)
    scale = np.ones(len(made), np.float64)
    if active.any():
        scale[active] = np.sqrt(made[active].astype(np.float64) / read[active])
        scale[active] /= np.exp(np.mean(np.log(scale[active])))
    return scale.astype(np.float32)


def _columns(layer: Linear) -> np.ndarray:
    size: np.ndarray = np.abs(layer.weight).max(axis=0)
    return size if layer.bias is None else np.maximum(size, np.abs(layer.bias))


def _rows(layer: Linear) -> np.ndarray:
    size: np.ndarray = np.abs(layer.weight).max(axis=1)
    return size


def _divided(layer: Linear, scale: np.ndarray) -> Linear:
    bias = None if layer.bias is None else layer.bias / scale
    return Linear(layer.weight / scale, bias)


def _multiplied(layer: Linear, scale: np.ndarray) -> Linear:
    return Linear(layer.weight * scale[:, None], layer.bias)

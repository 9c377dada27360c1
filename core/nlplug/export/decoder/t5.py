"""Reading T5 and mT5: RMS norms before, no biases, relative positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlplug.export.decoder.encoder_decoder_weights import (
    Cross,
    EncoderDecoderWeights,
    Stack,
    start_token,
)
from nlplug.export.decoder.weights import Block, Linear, activation, array, head, linear, rms_norm
from nlplug.export.stack import transformers_major
from nlplug.runtime.decoding.decoder import NO_LIMIT


def read(model: Any) -> EncoderDecoderWeights:
    """The weights of a ``T5ForConditionalGeneration`` or ``MT5ForConditionalGeneration``."""
    config = model.config
    decoder = _stack(model.decoder, config)
    if _scales_logits(config):
        decoder = decoder.scaled(config.d_model**-0.5)
    return EncoderDecoderWeights(
        encoder=_stack(model.encoder, config),
        decoder=decoder,
        cross=tuple(_cross(block) for block in model.decoder.block),
        head=head(model, decoder.embeddings),
        logits_bias=None,
        activation=activation(config.dense_act_fn),
        gated=config.is_gated_act,
        norm_first=True,
        start=start_token(model),
    )


def _scales_logits(config: Any) -> bool:
    """Whether the decoder's output is divided by the root of its size, as where weights are tied.

    transformers 5 has a key for it, because it takes all weights of T5 for tied; mT5 has none.
    """
    if transformers_major() < 5:
        return bool(config.tie_word_embeddings)
    return config.model_type == "t5" and bool(config.scale_decoder_outputs)


def _stack(stack: Any, config: Any) -> Stack:
    return Stack(
        heads=config.num_heads,
        head_size=config.d_kv,
        scale=1.0,
        context=NO_LIMIT,
        embeddings=array(stack.embed_tokens.weight),
        positions=None,
        relative=_relative(stack),
        embedding_norm=None,
        layers=tuple(_layer(block) for block in stack.block),
        final_norm=rms_norm(stack.final_layer_norm),
    )


def _relative(stack: Any) -> np.ndarray:
    """The bias for each distance; see `Stack.relative`."""
    import torch

    module = stack.block[0].layer[0].SelfAttention
    furthest = module.relative_attention_max_distance
    first = -furthest
    if stack.is_decoder:
        steps = torch.arange(0, first - 1, -1)
    else:
        steps = torch.arange(first, furthest + 1)
    buckets = module._relative_position_bucket(
        steps,
        bidirectional=not stack.is_decoder,
        num_buckets=module.relative_attention_num_buckets,
        max_distance=furthest,
    )
    table: np.ndarray = array(module.relative_attention_bias.weight)[buckets.numpy()].T
    return table


def _layer(block: Any) -> Block:
    own, last = block.layer[0], block.layer[-1]
    mlp, attention = last.DenseReluDense, own.SelfAttention
    ups = [mlp.wi] if hasattr(mlp, "wi") else [mlp.wi_0, mlp.wi_1]
    return Block(
        attention_norm=rms_norm(own.layer_norm),
        qkv=Linear.join([linear(attention.q), linear(attention.k), linear(attention.v)]),
        attention_out=linear(attention.o),
        mlp_norm=rms_norm(last.layer_norm),
        up=Linear.join([linear(up) for up in ups]),
        down=linear(mlp.wo),
    )


def _cross(block: Any) -> Cross:
    part = block.layer[1]
    attention = part.EncDecAttention
    return Cross(
        norm=rms_norm(part.layer_norm),
        query=linear(attention.q),
        key=linear(attention.k),
        value=linear(attention.v),
        out=linear(attention.o),
    )

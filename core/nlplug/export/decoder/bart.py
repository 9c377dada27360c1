"""Reading BART, mBART, Marian, Pegasus and M2M100: positions are added to embeddings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nlplug.export.decoder.encoder_decoder_weights import (
    Cross,
    EncoderDecoderWeights,
    Stack,
    start_token,
)
from nlplug.export.decoder.weights import (
    Block,
    Linear,
    activation,
    array,
    head,
    layer_norm,
    linear,
)

_NORM_FIRST = frozenset({"m2m_100", "mbart", "pegasus"})


def read(model: Any) -> EncoderDecoderWeights:
    """The weights of a model for conditional generation of one of these architectures."""
    config, body = model.config, model.model
    encoder = _stack(body.encoder, config, config.encoder_attention_heads)
    decoder = _stack(body.decoder, config, config.decoder_attention_heads)
    bias = array(model.final_logits_bias)[0] if hasattr(model, "final_logits_bias") else None
    if bias is not None and not bias.any():
        bias = None
    product = head(model, array(body.decoder.embed_tokens.weight))
    if product is None:  # the table is stored with the scale of the first layer's input
        decoder = decoder.scaled(1 / _embedding_scale(config))
    elif bias is not None:
        whole = bias if product.bias is None else product.bias + bias
        product, bias = Linear(product.weight, whole), None
    return EncoderDecoderWeights(
        encoder=encoder,
        decoder=decoder,
        cross=tuple(_cross(layer) for layer in body.decoder.layers),
        head=product,
        logits_bias=bias,
        activation=activation(config.activation_function),
        gated=False,
        norm_first=config.model_type in _NORM_FIRST,
        start=start_token(model),
    )


def _embedding_scale(config: Any) -> float:
    return math.sqrt(config.d_model) if config.scale_embedding else 1.0


def _stack(stack: Any, config: Any, heads: int) -> Stack:
    positions = _positions(stack.embed_positions)
    norms = [getattr(stack, name, None) for name in ("layernorm_embedding", "layer_norm")]
    embedding_norm, final_norm = (None if norm is None else layer_norm(norm) for norm in norms)
    scale, size = np.float32(_embedding_scale(config)), config.d_model // heads
    return Stack(
        heads=heads,
        head_size=size,
        scale=size**-0.5,
        context=min(len(positions), config.max_position_embeddings),
        embeddings=array(stack.embed_tokens.weight) * scale,
        positions=positions,
        relative=None,
        embedding_norm=embedding_norm,
        layers=tuple(_layer(layer) for layer in stack.layers),
        final_norm=final_norm,
    )


def _positions(module: Any) -> np.ndarray:
    """The table without the rows before that of the first token."""
    if hasattr(module, "weights"):  # M2M100 computes them, and its table starts with padding
        return array(module.weights)[module.padding_idx + 1 :]
    return array(module.weight)[getattr(module, "offset", 0) :]


def _layer(layer: Any) -> Block:
    own = layer.self_attn
    return Block(
        attention_norm=layer_norm(layer.self_attn_layer_norm),
        qkv=Linear.join([linear(own.q_proj), linear(own.k_proj), linear(own.v_proj)]),
        attention_out=linear(own.out_proj),
        mlp_norm=layer_norm(layer.final_layer_norm),
        up=linear(layer.fc1),
        down=linear(layer.fc2),
    )


def _cross(layer: Any) -> Cross:
    attention = layer.encoder_attn
    return Cross(
        norm=layer_norm(layer.encoder_attn_layer_norm),
        query=linear(attention.q_proj),
        key=linear(attention.k_proj),
        value=linear(attention.v_proj),
        out=linear(attention.out_proj),
    )

"""Reading GPT-2: learned positions, norms before, products stored as (inputs, outputs)."""

from __future__ import annotations

from typing import Any

from nlplug.export.decoder.weights import (
    Block,
    DecoderWeights,
    Linear,
    NoFastForm,
    activation,
    array,
    head,
    layer_norm,
)


def read(model: Any) -> DecoderWeights:
    """The weights of a ``GPT2LMHeadModel``.

    Raises:
        NoFastForm: It does not divide attention scores by the square root of the head size.
    """
    config, body = model.config, model.transformer
    if not config.scale_attn_weights or config.scale_attn_by_inverse_layer_idx:
        raise NoFastForm("attention scores not divided by the square root of the head size")
    embeddings = array(body.wte.weight)
    return DecoderWeights(
        heads=config.n_head,
        kv_heads=config.n_head,
        head_size=config.n_embd // config.n_head,
        context=config.n_positions,
        embeddings=embeddings,
        positions=array(body.wpe.weight),
        rotary=None,
        blocks=tuple(
            Block(
                attention_norm=layer_norm(layer.ln_1),
                qkv=_conv1d(layer.attn.c_attn),
                attention_out=_conv1d(layer.attn.c_proj),
                mlp_norm=layer_norm(layer.ln_2),
                up=_conv1d(layer.mlp.c_fc),
                down=_conv1d(layer.mlp.c_proj),
            )
            for layer in body.h
        ),
        final_norm=layer_norm(body.ln_f),
        head=head(model, embeddings),
        activation=activation(config.activation_function),
    )


def _conv1d(module: Any) -> Linear:
    return Linear(array(module.weight), array(module.bias))

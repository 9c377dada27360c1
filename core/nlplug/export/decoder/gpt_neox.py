"""Reading GPT-NeoX (Pythia): rotary positions on a part of each head; attention and
feed-forward are often parallel."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlplug.export.decoder.weights import (
    Block,
    DecoderWeights,
    Linear,
    activation,
    array,
    head,
    layer_norm,
    linear,
    rotary,
)


def read(model: Any) -> DecoderWeights:
    """The weights of a ``GPTNeoXForCausalLM``.

    Raises:
        NoFastForm: Something in it has no fast form.
    """
    config, body = model.config, model.gpt_neox
    heads = config.num_attention_heads
    embeddings = array(body.embed_in.weight)
    return DecoderWeights(
        heads=heads,
        kv_heads=heads,
        head_size=config.hidden_size // heads,
        context=config.max_position_embeddings,
        embeddings=embeddings,
        positions=None,
        rotary=rotary(body.rotary_emb, config.max_position_embeddings),
        blocks=tuple(
            Block(
                attention_norm=layer_norm(layer.input_layernorm),
                qkv=_by_kind(linear(layer.attention.query_key_value), heads),
                attention_out=linear(layer.attention.dense),
                mlp_norm=layer_norm(layer.post_attention_layernorm),
                up=linear(layer.mlp.dense_h_to_4h),
                down=linear(layer.mlp.dense_4h_to_h),
            )
            for layer in body.layers
        ),
        final_norm=layer_norm(body.final_layer_norm),
        head=head(model, embeddings),
        activation=activation(config.hidden_act),
        parallel=bool(config.use_parallel_residual),
    )


def _by_kind(qkv: Linear, heads: int) -> Linear:
    """Reorder to all queries, all keys, all values; the checkpoint has them head by head."""

    def change(values: np.ndarray) -> np.ndarray:
        split = values.reshape(*values.shape[:-1], heads, 3, -1)
        return np.swapaxes(split, -3, -2).reshape(values.shape)

    return Linear(change(qkv.weight), None if qkv.bias is None else change(qkv.bias))

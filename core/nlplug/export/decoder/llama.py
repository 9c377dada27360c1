"""Reading Llama, SmolLM, Mistral and Qwen2: RMS norms, rotary positions, a gate."""

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
    linear,
    rms_norm,
    rotary,
)


def read(model: Any) -> DecoderWeights:
    """The weights of a ``LlamaForCausalLM``, ``MistralForCausalLM`` or ``Qwen2ForCausalLM``.

    Raises:
        NoFastForm: It has sliding-window attention, or something else without a fast form.
    """
    config, body = model.config, model.model
    context = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    if window is not None and window < context and getattr(config, "use_sliding_window", True):
        raise NoFastForm(f"attention with a sliding window of {window} tokens")
    heads = config.num_attention_heads
    embeddings = array(body.embed_tokens.weight)
    return DecoderWeights(
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        context=context,
        embeddings=embeddings,
        positions=None,
        rotary=rotary(body.rotary_emb, context),
        blocks=tuple(_block(layer) for layer in body.layers),
        final_norm=rms_norm(body.norm),
        head=head(model, embeddings),
        activation=activation(config.hidden_act),
        gated=True,
    )


def _block(layer: Any) -> Block:
    attention, mlp = layer.self_attn, layer.mlp
    return Block(
        attention_norm=rms_norm(layer.input_layernorm),
        qkv=Linear.join(
            [linear(attention.q_proj), linear(attention.k_proj), linear(attention.v_proj)]
        ),
        attention_out=linear(attention.o_proj),
        mlp_norm=rms_norm(layer.post_attention_layernorm),
        up=Linear.join([linear(mlp.gate_proj), linear(mlp.up_proj)]),
        down=linear(mlp.down_proj),
    )

"""Tiny language models with random weights, and what transformers generates with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nlplug.runtime.decoding.fast import FastDecoder

VOCABULARY = 96
CONTEXT = 128
END = 0
"""The token that ends texts, and pads them in transformers."""
PAD = 1
"""What pads sources; texts end with `END` there too."""
_START = 2
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "gpt2",
        {"vocab_size": VOCABULARY, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": CONTEXT},
    ),
    "gpt_neox": ("gpt_neox", {**SHAPE, "num_attention_heads": 2, "rotary_pct": 0.5}),
    "gpt_neox-in-turn": ("gpt_neox", {**SHAPE, "use_parallel_residual": False, "rotary_pct": 1.0}),
    "llama": ("llama", {**SHAPE, "num_key_value_heads": 2}),
    "llama3": (
        "llama",
        {
            **SHAPE,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    "mistral": ("mistral", {**SHAPE, "num_key_value_heads": 2, "sliding_window": None}),
    "qwen2": ("qwen2", {**SHAPE, "num_key_value_heads": 2, "tie_word_embeddings": True}),
}
"""Name → model type and configuration."""
BART: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": CONTEXT,
}
T5: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2}
SEQ2SEQ_MODELS: dict[str, dict[str, Any]] = {
    "marian": {**BART, "scale_embedding": True, "activation_function": "swish"},
    "bart": BART,
    "mbart": {**BART, "scale_embedding": True},
    "m2m_100": {**BART, "scale_embedding": True, "activation_function": "relu"},
    "pegasus": {**BART, "scale_embedding": True, "activation_function": "relu"},
    "t5": T5,
    "mt5": {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
"""Model type → configuration of models that have sources."""


@dataclass(frozen=True)
class Pair:
    """A PyTorch model, and its fast graph in float32."""

    model: Any
    session: FastDecoder


def prompts(count: int, *, seed: int = 0, longest: int = 12) -> list[list[int]]:
    """Random tokens, of all lengths from 1 up; `END` is not among them."""
    random = np.random.default_rng(seed)
    return [
        random.integers(END + 1, VOCABULARY, random.integers(1, longest + 1)).tolist()
        for _ in range(count)
    ]


def make_model(name: str, **settings: Any) -> Any:
    """Random weights, spread wide enough that texts differ, and some end."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model_type, shape = MODELS[name]
    config = AutoConfig.for_model(
        model_type, **{**shape, "eos_token_id": END, "bos_token_id": None, **settings}
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
    model.generation_config.pad_token_id = END
    return model


def make_seq2seq(model_type: str, **settings: Any) -> Any:
    """The same with an encoder, from one of `SEQ2SEQ_MODELS`."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    torch.manual_seed(0)
    names = {"eos": END, "pad": PAD, "decoder_start": _START, "bos": None, "forced_eos": None}
    config = AutoConfig.for_model(
        model_type,
        vocab_size=VOCABULARY,
        **{
            **SEQ2SEQ_MODELS[model_type],
            **{f"{name}_token_id": token for name, token in names.items()},
            **settings,
        },
    )
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
    return model


def reference(model: Any, texts: list[list[int]], **settings: Any) -> list[list[list[int]]]:
    """The new tokens that transformers generates: for each prompt its returned texts."""
    import torch

    longest = max(map(len, texts))
    ids = [[END] * (longest - len(text)) + text for text in texts]
    mask = [[0] * (longest - len(text)) + [1] * len(text) for text in texts]
    given = {"do_sample": False, "max_new_tokens": 24, **settings}
    with torch.no_grad():
        made = model.generate(torch.tensor(ids), attention_mask=torch.tensor(mask), **given)
    rows = [trimmed(row[longest:].tolist()) for row in made]
    each = len(rows) // len(texts)
    return [rows[start : start + each] for start in range(0, len(rows), each)]


def trimmed(tokens: list[int]) -> list[int]:
    """Up to the first token that ends a text: what follows is padding."""
    return tokens[: tokens.index(END) + 1] if END in tokens else tokens

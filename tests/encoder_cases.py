"""Encoder architectures for tests and benchmarks: name → ``model_type`` and settings."""

from __future__ import annotations

from typing import Any

_DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("bert", {}),
    "Multilingual MiniLM": ("bert", {"hidden_act": "gelu", "num_attention_heads": 2}),
    "RoBERTa": ("roberta", {"max_position_embeddings": 66}),
    "CamemBERT": ("camembert", {"max_position_embeddings": 66}),
    "XLM-R": ("xlm-roberta", {"max_position_embeddings": 66, "pad_token_id": 1}),
    "DistilBERT": ("distilbert", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
    "ELECTRA": ("electra", {"embedding_size": 16}),
    "ALBERT": ("albert", {"embedding_size": 16}),
    "MPNet": ("mpnet", {"max_position_embeddings": 66}),
    "DeBERTa": ("deberta", _DISENTANGLED),
    "DeBERTa-v2": (
        "deberta-v2",
        {**_DISENTANGLED, "conv_kernel_size": 3, "position_buckets": -1},
    ),
    "DeBERTa-v3": (
        "deberta-v2",
        {
            **_DISENTANGLED,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
    "ModernBERT (RoPE, local attention, GeGLU)": (
        "modernbert",
        {
            "local_attention": 8,
            "global_attn_every_n_layers": 2,
            "num_hidden_layers": 3,
            "reference_compile": False,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
    ),
    "EuroBERT (RoPE, RMS norms, gated layers)": (
        "eurobert",
        {"bos_token_id": 2, "eos_token_id": 3, "mask_token_id": 4},
    ),
    "NomicBERT (RoPE, gated layers)": ("nomic_bert", {}),
}

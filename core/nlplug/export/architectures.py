"""The architectures whose exports are tested; docs/architectures.md shows what becomes of each."""

from __future__ import annotations

ENCODERS = (
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""``model_type`` of encoders: for labels, entities, answers and masked tokens."""
ENCODERS_5 = ("eurobert", "nomic_bert")
"""Further ones, which transformers 4 does not have."""
WRITERS = ("bart", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5")
"""``model_type`` of sequence-to-sequence models."""
DECODERS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2")
"""``model_type`` of models that continue a text."""


def tested() -> str:
    """The lists, for a hint."""
    lists = {
        "encoders": ENCODERS,
        "encoders with transformers 5": ENCODERS_5,
        "sequence-to-sequence": WRITERS,
        "decoders": DECODERS,
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in lists.items())

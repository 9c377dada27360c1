"""Tiny models that write texts, with random weights, for tests of their export."""

from __future__ import annotations

from pathlib import Path

from nlplug.families.causal_lm import CausalTask
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.task import Example, Localized
from nlplug.train.pretrain import make_model, settings_of
from nlplug.train.vocabulary import train_tokenizer

TEXTS = [
    f"Once there was a {size} {animal}. It ran to the {place}, and nobody saw the {animal} again."
    for size in ("small", "big", "grey")
    for animal in ("cat", "dog", "fox")
    for place in ("house", "wood", "sea")
]


class Tales(CausalTask):
    """What a plugin would register."""

    name = "tales"
    title: Localized = "Tales"
    description: Localized = "How does it go on?"
    examples = (Example({"text": "Once"}),)


class Words(Seq2SeqTask):
    """What a plugin would register."""

    name = "words"
    title: Localized = "Words"
    description: Localized = "Other words"
    answer_key = "other_words"
    examples = (Example({"text": "the small cat"}),)


def checkpoint(folder: Path, architecture: str, *, spread: float = 0.05, seed: int = 0) -> Path:
    """Random weights, spread wide enough that texts differ, with a tokenizer of the texts."""
    import torch

    pairs = architecture == "marian"
    tokenizer = train_tokenizer(
        TEXTS,
        kind="unigram" if pairs else "bpe",
        size=80 if pairs else 300,
        end="</s>",
        max_length=64,
        closed=pairs,
    )
    torch.manual_seed(seed)
    config = settings_of(architecture)(
        data=["-"],
        output=folder,
        architecture=architecture,
        max_length=64,
        layers=2,
        hidden=64,
        heads=2,
    )
    model = make_model(config, tokenizer)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" not in name:
                weight.add_(torch.randn_like(weight) * spread)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""Tiny checkpoints of the usual encoders with random weights whose answers differ clearly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from parity.texts import documents
from parity.vocabularies import (
    WINDOW,
    albert,
    camembert,
    deberta,
    modernbert,
    mpnet,
    roberta,
    word_piece,
    xlm,
)

_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
_SPREAD = 2.5
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
TOPICS = ("sport", "politics", "music", "science", "food")
NLI = ("contradiction", "neutral", "entailment")
_LABELS = {"token-classification": TAGS, "zero-shot-classification": NLI}
_HEADS = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
    "zero-shot-classification": "AutoModelForSequenceClassification",
}


def usually(names: Iterable[str], *some: str) -> list[Any]:
    """The names for ``parametrize``; `make test` takes some of them, `make long` all."""
    found = list(names)
    assert set(some) <= set(found), some
    return [name if name in some else pytest.param(name, marks=pytest.mark.long) for name in found]


@dataclass(frozen=True)
class Architecture:
    """One shape of model with the kind of tokenizer that comes with it.

    Attributes:
        name: As the tables call it.
        model_type: As transformers calls it.
        tokenizer: Trains the tokenizer on texts.
        settings: Of the config, where they differ from the others'.
        positions: More positions than the window has, where some are never used.
    """

    name: str
    model_type: str
    tokenizer: Callable[[list[str]], Any]
    settings: dict[str, Any] = field(default_factory=lambda: dict(_SIZE))
    positions: int = WINDOW


def make_checkpoint(
    architecture: Architecture, hub_task: str, folder: Path, **settings: Any
) -> Path:
    """Save a random model with its tokenizer, and return its folder."""
    import torch
    import transformers

    tokenizer = architecture.tokenizer([_plain(text) for text in documents(80, 600)])
    labels: tuple[str, ...] = ()
    if hub_task not in ("question-answering", "fill-mask", "feature-extraction"):
        labels = _LABELS.get(hub_task, TOPICS)
        settings["id2label"] = dict(enumerate(labels))
        settings["label2id"] = {label: index for index, label in enumerate(labels)}
    config = transformers.AutoConfig.for_model(
        architecture.model_type,
        vocab_size=len(tokenizer),
        max_position_embeddings=architecture.positions,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **architecture.settings,
        **settings,
    )
    torch.manual_seed(7)
    model = getattr(transformers, _HEADS[hub_task]).from_config(config)
    _spread(model)
    if hub_task not in ("fill-mask", "feature-extraction"):
        _even_out(model, tokenizer, architecture)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _plain(text: str) -> str:
    """Without emoji: no vocabulary has all, and byte-level ones spell those they lack in bytes."""
    return "".join(character for character in text if ord(character) < 0x1F000)


def _spread(model: Any) -> None:
    """Weights wide enough that tokens differ and look at each other."""
    import torch

    # Where nothing is normalized, values would grow until float32 has no digits left for them.
    scale = 0.25 if getattr(model.config, "normalization_type", "") == "no_norm" else 1.0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "LayerNorm" in name or "layer_norm" in name:
                weight.add_(torch.randn_like(weight) * 0.1).mul_(scale)
            elif "embeddings" in name:
                weight.copy_(torch.randn_like(weight))
            elif name.startswith(("classifier", "qa_outputs")):
                weight.copy_(torch.randn_like(weight) * 0.6)
            elif weight.ndim == 2:
                weight.copy_(torch.randn_like(weight) * 0.25)
            else:
                weight.add_(torch.randn_like(weight) * 0.1)


def _even_out(model: Any, tokenizer: Any, architecture: Architecture) -> None:
    """Shift and scale the head so that no label wins everywhere, and the winners win clearly."""
    import torch

    model.eval()
    head = model.qa_outputs if hasattr(model, "qa_outputs") else model.classifier
    head = getattr(head, "out_proj", head)
    values = []
    with torch.no_grad():
        for text in documents(40, 200, seed=9):
            fields = tokenizer(text, truncation=True, return_tensors="pt")
            names = ("input_ids", "attention_mask")
            output = model(**{name: fields[name] for name in names})
            logits = output[0] if "logits" in output else torch.stack(output[:2], -1)
            values.append(logits.reshape(-1, logits.shape[-1]))
        logits = torch.cat(values)
        scale = _SPREAD / logits.std(dim=0)
        head.weight.mul_(scale[:, None])
        head.bias.copy_((head.bias - logits.mean(dim=0)) * scale)


ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture("BERT", "bert", word_piece("BertTokenizerFast")),
        Architecture(
            "DistilBERT",
            "distilbert",
            word_piece("DistilBertTokenizerFast", lowercase=False),
            dict(_DISTIL),
        ),
        Architecture("RoBERTa", "roberta", roberta, positions=WINDOW + 2),
        Architecture(
            "ELECTRA",
            "electra",
            word_piece("ElectraTokenizerFast"),
            _SIZE | {"embedding_size": 16},
        ),
        Architecture(
            "DeBERTa-v2",
            "deberta-v2",
            deberta,
            _SIZE
            | {
                "relative_attention": True,
                "pos_att_type": ["p2c", "c2p"],
                "position_buckets": 16,
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "position_biased_input": False,
                "type_vocab_size": 0,
            },
        ),
        Architecture("ALBERT", "albert", albert, _SIZE | {"embedding_size": 16}),
        Architecture("XLM-R", "xlm-roberta", xlm, positions=WINDOW + 2),
    )
}
MORE = {
    one.name: one
    for one in (
        Architecture("MPNet", "mpnet", mpnet, positions=WINDOW + 2),
        Architecture("CamemBERT", "camembert", camembert, positions=WINDOW + 2),
        Architecture(
            "ModernBERT",
            "modernbert",
            modernbert,
            _SIZE
            | {
                "num_hidden_layers": 3,
                "global_attn_every_n_layers": 2,
                "local_attention": 16,
                "reference_compile": False,
                "cls_token_id": 2,
                "sep_token_id": 3,
            },
        ),
        # It reads the padding behind a text, so only rows of one length make a batch.
        Architecture(
            "MobileBERT",
            "mobilebert",
            word_piece("MobileBertTokenizerFast"),
            _SIZE | {"embedding_size": 16, "intra_bottleneck_size": 32},
        ),
        Architecture(
            "SqueezeBERT",
            "squeezebert",
            word_piece("SqueezeBertTokenizerFast"),
            _SIZE | {"embedding_size": 32},
        ),
    )
}
"""Further ones, for the tasks that transformers 5 has dropped."""


def make_generator(folder: Path) -> Path:
    """Save a random GPT-2 with its tokenizer, and return its folder."""
    import torch
    import transformers

    inner = roberta([_plain(text) for text in documents(80, 600)]).backend_tokenizer
    tokenizer = transformers.GPT2TokenizerFast(
        tokenizer_object=inner,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=WINDOW,
    )
    tokenizer.backend_tokenizer.post_processor = _no_template()
    tokenizer.chat_template = _CHAT_TEMPLATE
    torch.manual_seed(7)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_head=4,
        n_layer=2,
        n_positions=WINDOW,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _no_template() -> Any:
    from tokenizers import processors

    return processors.ByteLevel(trim_offsets=False)

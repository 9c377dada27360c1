"""Tiny checkpoints: two layers, 32 numbers a token, a vocabulary of a few dozen words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlplug.export.saved_tokenizer import save_tokenizer
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.task import Example, Localized

GOOD = ("good", "great", "lovely", "fine", "superb", "warm")
BAD = ("bad", "awful", "dull", "poor", "weak", "cold")
FILLERS = ("the", "film", "was", "is", "a", "plot", "and", "so", "we", "saw", "it", "again")
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


class ToyTask(SequenceClassificationTask):
    """What a plugin would register."""

    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"
    examples = (Example({"text": "the film was good"}), Example({"text": "a dull plot"}))


@pytest.fixture(scope="session")
def toy_task() -> ToyTask:
    return ToyTask()


def toy_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Texts in which one word among fillers tells the label."""
    import random

    source = random.Random(seed)
    rows = []
    for index in range(count):
        label = index % 2
        words = source.choices(FILLERS, k=source.randint(2, 14))
        words[source.randrange(len(words))] = source.choice(GOOD if label else BAD)
        rows.append({"text": " ".join(words), "label": ("negative", "positive")[label]})
    return rows


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "dev.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in toy_rows(240, seed=1)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def toy_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import BertTokenizerFast

    folder = tmp_path_factory.mktemp("tokenizer")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLERS]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    return BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=48)


def save(tokenizer: Any, folder: Path) -> None:
    """Save a tokenizer with its ``vocab.txt``, as most checkpoints of the Hub have it."""
    save_tokenizer(tokenizer, folder)
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def make_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, toy_tokenizer: Any
) -> Callable[..., Path]:
    """Random weights, spread wide enough that the logits differ between texts."""

    def make(model_type: str, **settings: Any) -> Path:
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification

        torch.manual_seed(0)
        labels = {"id2label": {0: "negative", 1: "positive"}}
        config = AutoConfig.for_model(
            model_type, vocab_size=64, **{**SIZE, "pad_token_id": 0, **labels, **settings}
        )
        model = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        folder = tmp_path_factory.mktemp(model_type)
        model.save_pretrained(folder)
        save(toy_tokenizer, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def random_bert(make_checkpoint: Callable[..., Path]) -> Path:
    return make_checkpoint("bert")


@pytest.fixture(scope="session")
def trained_bert(tmp_path_factory: pytest.TempPathFactory, toy_tokenizer: Any) -> Path:
    """A BERT that has learned the toy set, within two seconds.

    The embedding of [MASK], which no text has, is huge: PyTorch never looks at it, but where all
    embeddings share one scale there is nothing left of the others.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=64, **SIZE, id2label={0: "negative", 1: "positive"}, hidden_dropout_prob=0.0
    )
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = toy_rows(512)
    for step in range(80):
        batch = rows[(step % 16) * 32 : (step % 16) * 32 + 32]
        inputs = toy_tokenizer([row["text"] for row in batch], padding=True, return_tensors="pt")
        targets = torch.tensor([int(row["label"] == "positive") for row in batch])
        loss = model(**inputs, labels=targets).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[toy_tokenizer.mask_token_id] *= 1e4
    folder = tmp_path_factory.mktemp("trained-bert")
    model.save_pretrained(folder)
    save(toy_tokenizer, folder)
    return folder

"""`nlplug train` for models that write texts: from rows to a bundle that writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_set import write_jsonl

from nlplug import Bundle, Pipeline
from nlplug.families.causal_lm import CausalTask
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.seq2seq.settings import Seq2SeqConfig
from nlplug.task import Example, Localized
from nlplug.train.config import TrainConfig
from nlplug.train.pretrain import make_model, settings_of
from nlplug.train.run import train
from nlplug.train.vocabulary import train_tokenizer

pytestmark = pytest.mark.train

COLOURS = ("red", "green", "blue", "black")
TEXTS = [f"{one} {two} {one} {two}" for one in COLOURS for two in COLOURS if one != two]


class Tales(CausalTask):
    """What a plugin would register."""

    name = "tales"
    title: Localized = "Tales"
    description: Localized = "How does it go on?"


class Copies(Seq2SeqTask):
    """What a plugin would register."""

    name = "copies"
    title: Localized = "Copies"
    description: Localized = "The same again"
    examples = (Example({"text": "red"}),)


def base(folder: Path, architecture: str) -> str:
    """Random weights and a tokenizer of the colours, as a checkpoint."""
    import torch

    pairs = architecture == "marian"
    tokenizer = train_tokenizer(
        TEXTS,
        kind="unigram" if pairs else "bpe",
        size=40 if pairs else 264,
        end="</s>",
        max_length=32,
        closed=pairs,
    )
    torch.manual_seed(0)
    shape: dict[str, Any] = {"layers": 1, "hidden": 32, "heads": 2, "max_length": 32}
    config = settings_of(architecture).model_validate(
        {"data": ["-"], "output": folder, "architecture": architecture, **shape}
    )
    make_model(config, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def settings(folder: Path, architecture: str, rows: list[dict[str, Any]]) -> TrainConfig:
    data = str(write_jsonl(folder / "rows.jsonl", rows))
    kind: type[TrainConfig] = Seq2SeqConfig if architecture == "marian" else TrainConfig
    return kind.model_validate(
        {
            "base": base(folder / "base", architecture),
            "data": [data],
            "eval": [data],
            "output": folder / "out",
            "epochs": 30,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "max_length": 32,
            "precisions": ["int8"],
            "budget": 0.5,
            "dropout": 0.0,
            "device": "cpu",
            "threads": 1,
            "languages": ["en"],
        }
    )


def test_texts_become_a_bundle_that_continues_them(tmp_path: Path) -> None:
    config = settings(tmp_path, "llama", [{"text": text} for text in TEXTS * 4])
    bundle = Bundle.open(train(Tales(), config), verify=True)
    assert bundle.manifest is not None
    assert bundle.manifest.precisions["int8"].metrics["bits_per_byte"] < 1
    with Pipeline(Tales(), bundle, threads=1) as pipe:
        [answer] = pipe("red blue", do_sample=False, max_new_tokens=16)
    assert set(answer["generated_text"].split()[:6]) <= set(COLOURS)


def test_pairs_become_a_bundle_that_answers(tmp_path: Path) -> None:
    rows = [{"source": text, "target": text} for text in TEXTS]
    bundle = Bundle.open(train(Copies(), settings(tmp_path, "marian", rows)), verify=True)
    assert bundle.manifest is not None
    assert bundle.manifest.precisions["int8"].metrics["chrf"] > 0
    assert bundle.graphs.keys() == {"encoder_model", "decoder_model_merged"}
    with Pipeline(Copies(), bundle, threads=1) as pipe:
        assert pipe("red blue")[0]["generated_text"]


def test_two_processes_train_one_model_and_the_first_exports_it(
    tmp_path: Path, two_processes: Callable[..., str]
) -> None:
    rows = [{"prompt": "again:", "completion": f" {text}"} for text in TEXTS]
    config = settings(tmp_path, "llama", rows)
    config = config.model_copy(update={"epochs": 2.0, "precisions": ["fp32"]})
    two_processes(config, "train", "generation")
    run = json.loads((tmp_path / "out.training" / "run.json").read_text())
    assert (run["processes"], run["backend"]) == (2, "gloo")
    assert run["steps"] == 2 * -(-len(TEXTS) // 8)  # each process takes four rows a step
    assert run["scores"]["token_loss"] < 5  # log(264) is 5.6
    assert Bundle.open(config.output, verify=True).manifest is not None

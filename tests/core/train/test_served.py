"""A model in training is scored as ``nlplug evaluate`` scores its bundle, long texts included."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_set import BAD, FILLERS, GOOD, write_jsonl

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.evaluation.base import flat_metrics
from nlplug.evaluation.run import evaluate
from nlplug.families.causal_lm.settings import CausalPretrainConfig
from nlplug.families.family import load
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.pretrain import pretrain
from nlplug.train.run import train
from nlplug.train.workspace import Workspace

pytestmark = pytest.mark.train

LONG = 90
"""Words of a text; the window of the base is 32 tokens."""


def texts(count: int) -> list[list[str]]:
    """Long texts of which two words are labelled: the models are unsure of many of them."""
    chance = random.Random(5)
    found = []
    for _ in range(count):
        words = chance.choices(FILLERS, k=chance.randint(5, LONG))
        for _ in range(2):
            words.insert(chance.randint(0, len(words)), chance.choice([*GOOD, *BAD]))
        found.append(words)
    return found


def classified(words: list[str]) -> dict[str, Any]:
    good = sum(word in GOOD for word in words)
    return {"text": " ".join(words), "label": "good" if good else "bad"}


def tagged(words: list[str]) -> dict[str, Any]:
    tags = ["B-GOOD" if w in GOOD else "B-BAD" if w in BAD else "O" for w in words]
    return {"tokens": words, "tags": tags}


def asked(words: list[str]) -> dict[str, Any]:
    answer = next(word for word in words if word in {*GOOD, *BAD})
    return {"question": "is a film", "context": " ".join(words), "answer": answer}


def scores_of(task: Task, settings: dict[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The scores at the end of training, and those of the bundle on the same rows."""
    config: TrainConfig = load(task.family.settings).model_validate(settings)
    folder = train(task, config)
    trained = Workspace.of(config).result()["scores"]
    with Pipeline(task, Bundle.open(folder), precision="fp32") as pipe:
        served = evaluate(pipe, Workspace.of(config).eval_file)
    return trained, flat_metrics(served.report)


@pytest.mark.parametrize(
    ("name", "row"), [("classification", classified), ("ner", tagged), ("qa", asked)]
)
def test_scores_in_training_are_those_of_the_bundle(
    name: str, row: Callable[[list[str]], dict[str, Any]], tiny_bert: Path, tmp_path: Path
) -> None:
    rows = [row(words) for words in texts(72)]
    settings = {
        "base": str(tiny_bert),
        "data": [str(write_jsonl(tmp_path / "train.jsonl", rows[:40]))],
        "eval": [str(write_jsonl(tmp_path / "dev.jsonl", rows[40:]))],
        "output": tmp_path / "out",
        "precisions": ["fp32"],
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 5e-3,
        "max_length": 16,
        "bf16": False,
        "allow_trivial": True,
        "device": "cpu",
        "threads": 1,
    }
    trained, served = scores_of(PluginHost.discover().task(name), settings)
    assert trained.keys() == served.keys()
    assert trained == pytest.approx(served, abs=1e-6)
    assert any(0 < value < 1 for value in served.values())  # neither all right nor all wrong


def test_bits_per_byte_in_training_are_those_of_the_bundle(tmp_path: Path) -> None:
    lines = [{"text": " ".join(words)} for words in texts(60)]
    data = [str(write_jsonl(tmp_path / "texts.jsonl", lines))]
    shape = {"vocabulary": 300, "max_length": 32, "layers": 1, "hidden": 16, "heads": 2}
    loop = {"epochs": 2, "learning_rate": 1e-2, "device": "cpu", "threads": 1, "eval_share": 0.2}
    base = pretrain(
        CausalPretrainConfig.model_validate(
            {"data": data, "output": tmp_path / "base", **shape, **loop}
        )
    )
    task = PluginHost.discover().task("generation")
    settings = {"base": str(base), "data": data, "output": tmp_path / "out", **loop}
    trained, served = scores_of(task, {**settings, "precisions": ["fp32"], "max_length": 16})
    assert trained == pytest.approx(served, rel=1e-5, abs=1e-6)

"""A masked language model of one's own is what other tasks start from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toy_set import toy_rows, write_jsonl

from nlplug.families.token_classification import TokenClassificationTask
from nlplug.task import Localized, Task
from nlplug.train.config import TrainConfig
from nlplug.train.pretrain import pretrain, settings_of
from nlplug.train.run import fine_tune
from nlplug.train.workspace import Workspace

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]


class ToyTags(TokenClassificationTask):
    """What a plugin would register."""

    name = "toy-tags"
    title: Localized = "Toy"
    description: Localized = "Which words?"


@pytest.fixture(scope="module", params=["wordpiece", "bpe"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that was trained on the toy set's texts."""
    folder = tmp_path_factory.mktemp("base")
    data = str(write_jsonl(folder / "texts.jsonl", toy_rows(96)))
    return pretrain(
        settings_of("bert").model_validate(
            {
                "data": [data],
                "eval": [data],
                "output": folder / "out",
                "architecture": "bert",
                "tokenizer_model": request.param,
                "vocabulary": 320,
                "max_length": 32,
                "layers": 1,
                "hidden": 32,
                "heads": 2,
                "epochs": 2,
                "device": "cpu",
                "threads": 1,
            }
        )
    )


def scores(config: TrainConfig) -> dict[str, float]:
    found: dict[str, float] = Workspace.of(config).result()["scores"]
    return found


def test_a_classifier_starts_from_its_weights(base: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    weights = load_file(base / "model.safetensors")
    assert all(
        torch.equal(value, weights[f"bert.{name}"])
        for name, value in model.bert.named_parameters()
        if "pooler" not in name
    )
    inputs = AutoTokenizer.from_pretrained(base)(["a good film", "dull"], padding=True)
    assert model(**inputs.convert_to_tensors("pt")).logits.shape == (2, 2)


def test_it_learns_to_judge_texts(base: Path, toy_task: Task, config: Make) -> None:
    settings = config(base=str(base), max_length=32)
    fine_tune(toy_task, settings)
    assert scores(settings)["accuracy"] > 0.9


def test_it_learns_to_find_words(base: Path, config: Make, tmp_path: Path) -> None:
    rows = [
        {**row, "spans": [[*found.span(), "FILM"] for found in re.finditer("film", row["text"])]}
        for row in toy_rows(96)
    ]
    data = [str(write_jsonl(tmp_path / "spans.jsonl", rows))]
    settings = config(base=str(base), data=data, eval=data, labels=[], max_length=32)
    fine_tune(ToyTags(), settings)
    assert scores(settings)["f1"] > 0.9

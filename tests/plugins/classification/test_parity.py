"""The same answers as transformers' text-classification pipeline on the same weights.

The family's shapes and windows are held against transformers in the tests of sentiment; here are
what this task adds to: models with several labels a text, and Chinese.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlplug import Pipeline, pipeline
from nlplug.export.run import ExportConfig, export_model
from nlplug_classification.task import ClassificationTask

pytestmark = pytest.mark.train

TEXT = (
    "我 喜欢 猫 狗 是 可爱 的 动物 。 ， "
    "the cat is a lovely animal and dogs are ! ? Zürich 👍🏽 مرحبا"
)
WORDS = TEXT.split(" ")
LABELS = ["cat", "dog", "animal", "other"]


def texts(count: int) -> list[str]:
    """Texts of 1 to 60 words, with and without spaces between them; the same at each run."""
    draw = random.Random(3)
    return [
        draw.choice(["", " "]).join(draw.choices(WORDS, k=draw.randint(1, 60)))
        for _ in range(count)
    ]


@pytest.fixture(scope="module", params=["single_label", "multi_label"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with a vocabulary of characters, whose scores spread from 0 to 1."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder: Path = tmp_path_factory.mktemp(request.param)
    characters = sorted({character for word in WORDS for character in word.lower()})
    pieces = [f"##{character}" for character in characters]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *pieces]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        problem_type=f"{request.param}_classification",
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ours(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    output = tmp_path_factory.mktemp("export") / "bundle"
    task = ClassificationTask()
    export_model(ExportConfig(source=checkpoint, output=output, task=task, precisions=("fp32",)))
    with pipeline("text-classification", model=output) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> Any:
    import transformers

    return transformers.pipeline("text-classification", model=str(checkpoint), device="cpu")


def same(ours: Any, theirs: Any) -> None:
    """The same nesting, keys and labels, and scores within 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    else:
        assert ours.keys() == theirs.keys() == {"label", "score"}
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


def test_300_texts_get_the_same_labels_and_scores(ours: Pipeline, theirs: Any) -> None:
    many = texts(300)
    answers = theirs(many, top_k=None, batch_size=16)
    same(ours(many, top_k=None), answers)
    assert len({answer[0]["label"] for answer in answers}) > 1, "one label would prove nothing"


@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}])
@pytest.mark.parametrize("inputs", ["我喜欢猫", ["我喜欢猫"], ["我喜欢猫", "狗是可爱的动物"]])
def test_the_shapes_are_the_same(
    ours: Pipeline, theirs: Any, inputs: Any, options: dict[str, Any]
) -> None:
    same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_the_activations_are_the_same(ours: Pipeline, theirs: Any, function: str) -> None:
    options = {"function_to_apply": function, "top_k": None}
    same(ours(texts(20), **options), theirs(texts(20), **options))

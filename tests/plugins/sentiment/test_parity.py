"""The same shapes and scores as transformers' text-classification pipeline on the same weights."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import BertWordPieceTokenizer

from nlplug import Pipeline, pipeline
from nlplug.export.run import ExportConfig, export_model
from nlplug_sentiment.task import SentimentTask

pytestmark = pytest.mark.train

TEXT = (
    "the film was good bad dull awful lovely never again rather surprisingly battery screen "
    "acting plot children hated loved it, and but not isn't don't ... !!! ? (really) 10/10 $3.50 "
    "café naïve Zürich ÜBER 我喜欢 这部电影 太差了 とても 👍🏽 😡 مرحبا e\u0301tat x@y.org #fail "
    "http://a.b/c?d=1 supercalifragilistic\u00ad\u200b \t \n"
)


def texts(count: int) -> list[str]:
    """Texts of 1 to 120 words in several scripts, with odd spacing; the same ones at each run."""
    draw = random.Random(7)
    return [" ".join(draw.choices(TEXT.split(" "), k=draw.randint(1, 120))) for _ in range(count)]


def word_pieces(tokenizer: BertWordPieceTokenizer) -> list[str]:
    """A vocabulary of the texts: short words whole, and all characters for the others."""
    found = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(TEXT))
    words = {word for word, _ in found}
    letters = set("".join(words))
    known = {word for word in words if len(word) < 7} | letters | {f"##{one}" for one in letters}
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(known)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT whose classifier is scaled up, so that its scores spread from 0 to 1."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("checkpoint")
    # Not trained: training breaks ties by chance, and each piece would get other weights.
    pieces = word_pieces(BertWordPieceTokenizer())
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    torch.manual_seed(4)  # a model that gives several labels
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            id2label={0: "negative", 1: "neutral", 2: "positive"},
            label2id={"negative": 0, "neutral": 1, "positive": 2},
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("export") / "bundle"
    export_model(
        ExportConfig(source=checkpoint, output=output, task=SentimentTask(), precisions=("fp32",))
    )
    return output


@pytest.fixture(scope="module")
def ours(bundle: Path) -> Iterator[Pipeline]:
    with pipeline("sentiment", model=bundle, precision="fp32") as pipe:
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
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-5)
    else:
        assert ours == theirs


def test_500_texts_get_the_same_labels_and_scores(ours: Pipeline, theirs: Any) -> None:
    many = texts(500)
    answers = theirs(many, top_k=None)
    same(ours(many, top_k=None), answers)
    assert len({answer[0]["label"] for answer in answers}) > 1, "one label would prove nothing"


@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}])
@pytest.mark.parametrize("inputs", ["good film", ["good film"], ["good film", "bad film"]])
def test_the_shapes_are_the_same(
    ours: Pipeline, theirs: Any, inputs: Any, options: dict[str, Any]
) -> None:
    same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_the_activations_are_the_same(ours: Pipeline, theirs: Any, function: str) -> None:
    options = {"function_to_apply": function, "top_k": None}
    same(ours(texts(20), **options), theirs(texts(20), **options))


@pytest.mark.parametrize("top_k", [1, 2, None])
def test_top_k_as_a_default_of_the_pipeline_has_the_same_shape(
    checkpoint: Path, bundle: Path, top_k: int | None
) -> None:
    import transformers

    peer = transformers.pipeline("text-classification", model=str(checkpoint), top_k=top_k)
    with pipeline("sentiment", model=bundle, top_k=top_k) as pipe:
        for inputs in ("good", ["good", "bad"]):
            same(pipe(inputs), peer(inputs))


def test_pairs_are_judged_alike(ours: Pipeline, theirs: Any) -> None:
    pair = {"text": "the film was good", "text_pair": "the film was bad"}
    same(ours([pair], top_k=None), theirs([pair], top_k=None))


def test_truncation_is_the_same(ours: Pipeline, theirs: Any) -> None:
    long = " ".join(texts(20))
    same(ours(long, truncation=True), theirs(long, truncation=True))

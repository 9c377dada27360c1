"""Fill-mask, zero-shot classification and text to text beside the pipelines of transformers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from parity.compare import Tally
from parity.models import ARCHITECTURES, MORE, usually
from parity.texts import documents, sentences

pytestmark = pytest.mark.train

TEXTS = [text for text in sentences(90, seed=51) if len(text.split()) > 3]
LONG = documents(9, 700, seed=52)
LABELS = ["sport", "the weather", "music", "politics"]
ASKED: dict[str, dict[str, Any]] = {
    "one label applies": {"candidate_labels": LABELS},
    "several labels apply": {"candidate_labels": LABELS, "multi_label": True},
    "labels as one text": {"candidate_labels": "sport, music,politics"},
    "one label": {"candidate_labels": "sport"},
    "another hypothesis": {"candidate_labels": LABELS, "hypothesis_template": "It is {}!"},
}


def masked(texts: list[str], mask: str, count: int) -> list[str]:
    """The texts with some words replaced by the mask token."""
    source = random.Random(53)
    found = []
    for text in texts:
        words = text.split()
        for place in source.sample(range(len(words)), count):
            words[place] = mask
        found.append(" ".join(words))
    return found


def fitting(tokenizer: Any, texts: list[str]) -> list[str]:
    """Texts that are short enough for the window."""
    return [text for text in texts if len(tokenizer(text)["input_ids"]) <= 64]


@pytest.mark.parametrize(
    "architecture", usually([*ARCHITECTURES, *MORE], "MPNet", "RoBERTa", "CamemBERT", "MobileBERT")
)
def test_fill_mask(
    architecture: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[Any]],
) -> None:
    mine, pipe = ours(architecture, "fill-mask"), theirs(architecture, "fill-mask")
    mask = pipe.tokenizer.mask_token
    words = list(pipe.tokenizer.get_vocab())[40:60]
    cases: dict[str, tuple[int, dict[str, Any]]] = {
        "one mask": (1, {}),
        "top_k 3": (1, {"top_k": 3}),
        "targets": (1, {"targets": words, "top_k": 10}),
        "two masks": (2, {}),
    }
    for setting, (count, options) in cases.items():
        texts = fitting(pipe.tokenizer, masked(some(TEXTS), mask, count))
        counted = tally("fill-mask", architecture, setting)
        assert len(texts) > 5
        for text, own, other in zip(
            texts, mine(texts, **options), pipe(texts, **options), strict=True
        ):
            counted.add(fillings(own), fillings(other), where=text)
        counted.check(least=len(texts))


@pytest.mark.parametrize("architecture", ["BERT", "RoBERTa"])
def test_feature_extraction(
    architecture: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
) -> None:
    """An answer is a vector; it is equal if no number differs by more than 1e-4."""
    task = "feature-extraction"
    mine, pipe = ours(architecture, task), theirs(architecture, task)
    texts = fitting(pipe.tokenizer, TEXTS)
    counted = tally(task, architecture, "one vector per token")
    pooled = tally(task, architecture, "the mean of a text")
    means = mine(texts, pool="mean", return_tensors=True)
    for text, own, mean, other in zip(texts, mine(texts), means, pipe(texts), strict=True):
        [vectors], right = own, np.array(other)
        assert np.shape(own) == right.shape
        gaps = np.abs(np.array(vectors) - right[0]).max(axis=1) > 1e-4
        counted.add(list(enumerate(map(float, gaps))), [(at, 0.0) for at in range(len(gaps))])
        gap = np.abs(mean - right[0].mean(axis=0)).max() > 1e-4
        pooled.add([(text, float(gap))], [(text, 0.0)])
    counted.check(least=500)
    pooled.check(least=len(texts))


def test_one_text_and_many_have_the_shape_of_transformers(
    ours: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    mine, pipe = ours("BERT", "fill-mask"), theirs("BERT", "fill-mask")
    one, two = "a [MASK] in town", "a [MASK] in [MASK]"
    for inputs in (one, [one], two, [two], [one, two]):
        assert shape(mine(inputs)) == shape(pipe(inputs))
    mine, pipe = (make("BERT", "zero-shot-classification") for make in (ours, theirs))
    for inputs in (one, [one], [one, two]):
        assert shape(mine(inputs, LABELS)) == shape(pipe(inputs, LABELS))


@pytest.mark.parametrize(
    "architecture", usually([*ARCHITECTURES, *MORE], "BERT", "ALBERT", "ModernBERT", "SqueezeBERT")
)
def test_zero_shot(
    architecture: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[Any]],
) -> None:
    task = "zero-shot-classification"
    mine, pipe = ours(architecture, task), theirs(architecture, task)
    texts = [text for text in some(TEXTS) if len(pipe.tokenizer(text)["input_ids"]) < 40]
    assert len(texts) > 5
    for setting, options in ASKED.items():
        counted = tally(task, architecture, setting)
        for given, more in ((texts, {}), (some(LONG), {"truncation": True})):
            for own, other in zip(
                mine(given, **options, **more), pipe(given, **options), strict=True
            ):
                assert own["sequence"] == other["sequence"]
                counted.add(pairs(own), pairs(other), where=own["sequence"])
        counted.check(least=len(texts))


def fillings(answer: Any) -> list[Any]:
    rows = answer if isinstance(answer[0], list) else [answer]
    return [
        ((place, one["token"], one["token_str"], one["sequence"]), one["score"])
        for place, row in enumerate(rows)
        for one in row
    ]


def pairs(answer: dict[str, Any]) -> list[Any]:
    return list(zip(answer["labels"], answer["scores"], strict=True))


def shape(value: Any) -> Any:
    if isinstance(value, list):
        return [shape(item) for item in value]
    return sorted(value) if isinstance(value, dict) else type(value)

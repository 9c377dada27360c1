"""The model inside the package: as good as its card says."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.evaluation.metrics import calibration
from nlplug_classification.plugin import register_models


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    spec = next(iter(register_models()))
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def assistant(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("classification") as assistant:
        yield assistant


@pytest.fixture(scope="module")
def held_out(data_folder: Path) -> dict[str, list[str]]:
    """The texts that the recipe keeps out of training by their hash, by label."""
    texts: dict[str, set[str]] = defaultdict(set)
    path = data_folder / "train" / "topic" / "clinc150_train.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            texts[row["label"]].add(row["text"])
    return {
        label: sorted(members, key=lambda text: hashlib.md5(text.encode()).hexdigest())[
            : len(members) // (3 if label == "oos" else 6)
        ]
        for label, members in texts.items()
    }


def test_its_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert (manifest.task, len(manifest.labels)) == ("classification", 151)
    assert manifest.options["abstain_label"] == "oos"
    assert 0 < manifest.options["min_score"] < 1
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert f"min_score` is {manifest.options['min_score']:.2f}" in card
    metrics = manifest.precisions["int8"].metrics
    assert metrics["in_scope_accuracy"] >= 0.955
    assert metrics["out_of_scope_recall"] >= 0.8


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Wake me up at half past six tomorrow.", "alarm"),
        ("How much did I spend on groceries last month?", "spending_history"),
        ("Translate good morning into Italian", "translate"),
        ("Is my flight on time?", "flight_status"),
        ("Please freeze my account!", "freeze_account"),
        ("turn off the kitchen lights", "smart_home"),
        ("I lost my credit card", "report_lost_card"),
        ("Thanks a lot!", "thank_you"),
        ("What's the capital of France?", "oos"),
        ("why is the sky blue", "oos"),
        ("Who won the cup final in 1998?", "oos"),
        ("The quarterly earnings disappointed investors.", "oos"),
    ],
)
def test_it_tells_plain_requests_from_what_is_none(
    assistant: Pipeline, text: str, label: str
) -> None:
    [answer] = assistant(text)
    assert answer["label"] == label
    assert 0.5 < answer["score"] <= 1


@pytest.mark.parametrize(
    "text",
    ["\u200b", "\x01\x02", "\u0301\u0301", "😀", "猫", "😀 🦘", "a" * 5000, "😀 " * 600],
    ids=lambda text: ascii(text[:8]),
)
def test_it_abstains_from_what_it_cannot_read(assistant: Pipeline, text: str) -> None:
    wanted = {"label": "oos", "score": 1.0, "abstained": True}
    assert assistant(text) == [wanted]
    assert assistant(text, top_k=3, threshold=0.99) == [wanted]
    assert assistant(text, min_score=0)[0]["score"] < 1.0


def test_a_word_that_it_knows_is_enough_to_be_judged(assistant: Pipeline) -> None:
    [answer] = assistant("😀 " * 600 + "what is the time in london right now")
    assert 0 < answer["score"] < 1
    [answer] = assistant({"text": "😀", "text_pair": "猫"})
    assert answer == {"label": "oos", "score": 1.0, "abstained": True}
    [answer] = assistant({"text": "😀", "text_pair": "tell me a joke"})
    assert answer["score"] < 1


def test_abstaining_can_be_switched_off(assistant: Pipeline) -> None:
    answer = assistant("Tell him that I will be late.", top_k=3, min_score=0)
    assert len(answer) == 3
    assert answer[0]["label"] == "text"


def test_it_is_as_good_as_asked_on_texts_kept_out_of_training(
    assistant: Pipeline, held_out: dict[str, list[str]]
) -> None:
    """A third of them, and all that are none of the intents."""
    outside = assistant(held_out["oos"])
    assert sum(answer["label"] == "oos" for answer in outside) / len(outside) >= 0.85
    inside = {label: texts for label, texts in held_out.items() if label != "oos"}
    pairs = [(text, label) for label, texts in inside.items() for text in texts[::3]]
    answers = assistant([text for text, _ in pairs])
    right = [answer["label"] == label for answer, (_, label) in zip(answers, pairs, strict=True)]
    assert sum(right) / len(right) >= 0.945


def test_its_scores_are_probabilities_and_its_sets_cover(
    assistant: Pipeline, held_out: dict[str, list[str]]
) -> None:
    """On the half of the held-out texts that its record was not made from."""
    pairs = [
        (text, label)
        for label, texts in held_out.items()
        for text in texts
        if int(hashlib.md5(text.encode()).hexdigest()[-1], 16) % 2
    ]
    assert len(pairs) > 1400
    texts = [text for text, _ in pairs]
    answers = [answer[0] for answer in assistant(texts, top_k=None, min_score=0)]
    scores = np.array([answer["score"] for answer in answers])
    right = [answer["label"] == label for answer, (_, label) in zip(answers, pairs, strict=True)]
    assert calibration(scores, np.array(right))["ece"] <= 0.03
    for coverage in (0.9, 0.95):
        sets = assistant(texts, coverage=coverage)
        held = [
            label in [item["label"] for item in labels]
            for labels, (_, label) in zip(sets, pairs, strict=True)
        ]
        assert abs(sum(held) / len(held) - coverage) <= 0.02

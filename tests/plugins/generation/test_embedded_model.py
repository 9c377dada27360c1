"""The model inside the package: as good as its card says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.evaluation.run import evaluate
from nlplug_generation.plugin import register_models

PROMPTS = (
    "Once upon a time",
    "There was once a poor woodcutter who",
    "The old king had three sons, and the youngest",
    "In a small house by the sea lived a girl who",
    "The wolf said to the little goat",
    "When the sun had gone down, the",
    "The princess opened the door and",
    "Far away in the mountains there",
)

COMMON = "the and a of to was he she it in that his her had you said so i him"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    [spec] = register_models()
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def tell(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("generation") as tell:
        yield tell


def test_its_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert manifest.task == "generation"
    assert manifest.metrics["graph"].startswith("fast: 6 layers, llama")
    assert manifest.precisions["int8"].parity["agreement"] > 0.98


def test_it_goes_on_and_does_not_turn_in_circles(tell: Pipeline) -> None:
    answers = [answer[0]["generated_text"] for answer in tell(list(PROMPTS), seed=1)]
    for prompt, text in zip(PROMPTS, answers, strict=True):
        assert text.startswith(prompt)
        assert len(text) > len(prompt)
        words = text.casefold().split()
        runs = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
        assert len(set(runs)) > 0.8 * len(runs)


def test_what_comes_is_mostly_english(tell: Pipeline) -> None:
    common = set(COMMON.split())
    text = " ".join(answer[0]["generated_text"] for answer in tell(list(PROMPTS), seed=2))
    words = [word.strip(".,;:!?\"'") for word in text.casefold().split()]
    assert sum(word in common for word in words) > 0.25 * len(words)


def test_the_same_seed_tells_the_same_tale(tell: Pipeline) -> None:
    one, two = (tell("Once upon a time", seed=5, max_new_tokens=30) for _ in range(2))
    assert one == two


def test_tales_that_it_has_not_seen_are_read_as_well_as_its_card_says(
    tell: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    with gzip.open(data_folder / "dev" / "lm" / "fairytales_test.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][::6]
    path = tmp_path / "tales.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert evaluate(tell, path).report["bits_per_byte"] <= 1.47

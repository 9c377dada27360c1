"""Every model inside the packages: whole, small, and described."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug import Bundle
from nlplug.plugins import PluginHost

LARGEST = 25e6
SMALLER = {"tales-en": 8e6, "sentiment-zh": 12e6, "ner-zh": 12e6, "topics-zh": 12e6}
"""The largest size of a model in bytes, and of those that must be smaller."""
GRAPHS_TOGETHER = 160e6

CARDS = {
    "intents-en": ("CLINC150", "accuracy", "recall"),
    "topics-zh": ("accuracy",),
    "tales-en": ("FairytaleQA", "African Storybook", "ELTeC", "bits per byte"),
    "ner-en": ("CoNLL-2003", "Broad Twitter", "WikiANN", "F1"),
    "ner-zh": ("held-out", "F1"),
    "qa-en": ("SQuAD", "QAMR", "FairytaleQA", "F1"),
    "sentiment-en": ("SST-2", "IMDB", "accuracy"),
    "sentiment-zh": ("accuracy",),
    "translation-en-fr": ("Tatoeba", "Multi30k", "CC BY 2.0 FR", "BLEU", "chrF"),
}
"""What the card of each names: its data and its measures."""


def embedded() -> dict[str, Path]:
    return {
        spec.name: spec.path for spec in PluginHost.discover().models() if spec.path is not None
    }


def size(folder: Path, pattern: str = "*") -> int:
    return sum(file.stat().st_size for file in folder.rglob(pattern) if file.is_file())


@pytest.fixture(params=CARDS)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle.open(embedded()[request.param], verify=True)


def test_the_table_has_each_of_them_and_together_they_are_small() -> None:
    folders = embedded()
    assert folders.keys() == CARDS.keys()
    assert sum(size(folder, "*.onnx") for folder in folders.values()) <= GRAPHS_TOGETHER


def test_each_is_small_and_int8(bundle: Bundle) -> None:
    assert list(bundle.precisions) == ["int8"]
    assert size(bundle.path) <= SMALLER.get(bundle.name, LARGEST)


def test_each_says_what_it_was_made_from_and_what_it_lost(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert manifest.license
    assert manifest.data
    assert manifest.languages == bundle.name.split("-")[1:]
    assert manifest.precisions["int8"].metrics["loss"] <= 0.005


def test_each_card_names_data_terms_size_and_limits(bundle: Bundle) -> None:
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    graphs = f"Size: {size(bundle.path, '*.onnx') / 1e6:.1f} MB in ONNX graphs"
    for word in (graphs, "licence", "bad at", *CARDS[bundle.name]):
        assert word in card
    assert "@" not in card.replace("@name", "")  # no address of a person

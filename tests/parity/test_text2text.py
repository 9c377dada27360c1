"""Summarization and text to text beside the pipelines of transformers, exported end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.compare import Tally
from parity.generation import NEAR
from parity.models import usually
from parity.texts import sentences
from parity.writers import WINDOW, WRITERS, make_writer

from nlplug import PluginHost, pipeline

pytestmark = pytest.mark.train

TEXTS = [text for text in sentences(150, seed=61) if text.strip()]
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "4 beams": ("text2text-generation", {"max_new_tokens": 16}),
    "greedy": ("text2text-generation", {"num_beams": 1, "max_new_tokens": 16}),
    "2 of 3 beams": (
        "summarization",
        {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 10, "length_penalty": 0.5},
    ),
    "no repetition": (
        "summarization",
        {"max_new_tokens": 14, "min_new_tokens": 6, "no_repeat_ngram_size": 2},
    ),
    # Greedy: the texts end alike, and beams of one score come in an order of chance.
    "cut off": ("text2text-generation", {"num_beams": 1, "max_new_tokens": 8, "truncation": True}),
}
KEYS = {"text2text-generation": "generated_text", "summarization": "summary_text"}


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, host: PluginHost
) -> Callable[[str], tuple[Path, Path]]:
    """Checkpoint and exported bundle of an architecture."""
    from nlplug.export.run import ExportConfig, export_model

    @cache
    def make(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(name)
        checkpoint = make_writer(WRITERS[name], folder / "checkpoint")
        task = host.task("text2text-generation")
        config = ExportConfig(checkpoint, folder / "bundle", task, precisions=("fp32",))
        return checkpoint, export_model(config).bundle.path

    return make


@pytest.fixture(scope="module")
def pair(folders: Callable[[str], tuple[Path, Path]]) -> Iterator[Callable[..., tuple[Any, Any]]]:
    """Our pipeline and that of transformers."""
    import transformers

    opened = []

    @cache
    def make(name: str, task: str) -> tuple[Any, Any]:
        checkpoint, bundle = folders(name)
        opened.append(pipeline(task, bundle, threads=1))
        return opened[-1], transformers.pipeline(task, model=str(checkpoint), device="cpu")

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("name", usually(WRITERS, "T5", "Marian", "mBART"))
def test_texts(
    name: str,
    pair: Callable[..., tuple[Any, Any]],
    tally: Callable[..., Tally],
    some: Callable[..., list[Any]],
) -> None:
    seen: set[str] = set()
    for setting, (task, options) in SETTINGS.items():
        mine, pipe = pair(name, task)
        texts = some(TEXTS, every=8)
        if "truncation" in options:
            texts = [f"{text} {text} {text} {text} {text}" for text in texts]
        else:
            texts = [text for text in texts if len(pipe.tokenizer(text)["input_ids"]) <= WINDOW]
        assert len(texts) > 10
        counted = tally(task, name, setting)
        theirs = pipe(texts, batch_size=16, **options)
        explain = near_ties(mine, pipe, texts, options)
        for number, (own, other) in enumerate(zip(mine(texts, **options), theirs, strict=True)):
            answers = (versions(one, KEYS[task]) for one in (own, other))
            counted.add(*answers, partial(explain, number), where=texts[number])
            seen.add(str(own))
        counted.check(least=len(texts))
    assert len(seen) > 40


@pytest.mark.parametrize("name", usually(WRITERS, "T5", "Marian", "mBART"))
def test_inside_is_what_the_checkpoint_computes(
    name: str,
    pair: Callable[..., tuple[Any, Any]],
    folders: Callable[[str], tuple[Path, Path]],
) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM

    mine, _ = pair(name, "text2text-generation")
    found = mine.inside("the bridge was closed", max_new_tokens=4, parts="attention")
    checkpoint, _ = folders(name)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, attn_implementation="eager").eval()
    maps = {one.name: one for one in found.attention}
    source, text = ([token.id for token in maps["cross"].keys], maps["decoder"].queries)
    with torch.no_grad():
        expected = model(
            torch.tensor([source]),
            decoder_input_ids=torch.tensor([[token.id for token in text]]),
            output_attentions=True,
        )
    for own in maps:
        name_of_theirs = f"{own}_attentions"
        theirs = np.stack([layer[0].numpy() for layer in expected[name_of_theirs]])
        np.testing.assert_allclose(maps[own].weights, theirs, atol=1e-4)
    assert maps.keys() == {"encoder", "decoder", "cross"}


def test_the_shapes_are_those_of_transformers(pair: Callable[..., tuple[Any, Any]]) -> None:
    text = "the bridge was closed"
    for task in KEYS:
        mine, pipe = pair("T5", task)
        for options in ({}, {"num_beams": 2, "num_return_sequences": 2}):
            options = {"max_new_tokens": 5, **options}
            for inputs in (text, [text], [text, text]):
                assert mine(inputs, **options) == pipe(inputs, **options)
            streams = (list(one((text for _ in range(2)), **options)) for one in (mine, pipe))
            assert next(streams) == next(streams)


def versions(answer: Any, key: str) -> list[Any]:
    answers = answer if isinstance(answer, list) else [answer]
    return [((place, one[key]), 0.0) for place, one in enumerate(answers)]


def near_ties(
    mine: Any, pipe: Any, texts: list[str], options: dict[str, Any]
) -> Callable[[int, Any], str | None]:
    """Whether a version of a text is another one because the checkpoint scores both alike."""
    import torch

    def score(text: str, target: Any) -> float:
        given = pipe.tokenizer(text, return_tensors="pt", truncation=True)
        with torch.no_grad():
            # Both give the token that starts the decoder first.
            scores = pipe.model(**given, decoder_input_ids=target[None]).logits[0].log_softmax(-1)
        new = scores[:-1].gather(1, target[1:, None]).sum()
        return float(new / (len(target) - 1) ** options.get("length_penalty", 1.0))

    def explain(number: int, key: tuple[int, str]) -> str | None:
        scores = []
        for answers in (
            mine(texts, return_tensors=True, **options),
            pipe(texts, return_tensors=True, batch_size=16, **options),
        ):
            found = answers[number]
            [ids] = (found[key[0]] if isinstance(found, list) else found).values()
            scores.append(score(texts[number], torch.as_tensor(ids)))
        return "near ties" if abs(scores[0] - scores[1]) < NEAR else None

    return explain

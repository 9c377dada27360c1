"""Entities beside transformers: each strategy, short and long texts, with and without stride."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from parity.compare import Tally, explainer, spans
from parity.faults import NER_FAULTS
from parity.graphs import check_both_precisions
from parity.mended import MendedNer, mend
from parity.models import ARCHITECTURES, TAGS, usually
from parity.texts import documents, sentences
from parity.vocabularies import WINDOW

pytestmark = pytest.mark.train

SOME = usually(ARCHITECTURES, "BERT", "RoBERTa", "DeBERTa-v2", "XLM-R")
STRATEGIES = ("none", "simple", "first", "average", "max")
TEXTS = [text for text in sentences(45, seed=21) if text.strip()]
LONG = documents(4, 700, seed=22)
_OUR_STRIDE = 8  # of a window of 64 tokens, where none is given


@pytest.mark.parametrize("architecture", SOME)
def test_both_precisions_pass_the_gate(architecture: str, exported: Callable[..., Any]) -> None:
    _, report = exported(architecture, "ner")
    check_both_precisions(report)


@pytest.mark.parametrize("architecture", SOME)
def test_the_manifest_says_what_was_fused_and_how_long_a_window_is(
    architecture: str, exported: Callable[..., Any]
) -> None:
    _, report = exported(architecture, "ner")
    manifest = report.bundle.manifest
    expected = {"DeBERTa-v2": "plain: no fusion for deberta-v2"}
    graph = manifest.metrics["graph"]
    assert graph.startswith(expected.get(architecture, "fused: 2 Attention"))
    assert manifest.labels == list(TAGS)
    # Positions that are never used are left out of it.
    assert report.bundle.max_length == WINDOW
    unused = report.bundle.config["max_position_embeddings"] - WINDOW
    assert unused == (2 if architecture in ("RoBERTa", "XLM-R") else 0)


@pytest.mark.parametrize("architecture", SOME)
def test_short_texts(
    architecture: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[str]],
) -> None:
    pipe = theirs(architecture, "ner")
    room = pipe.tokenizer.model_max_length
    texts = [text for text in some(TEXTS) if len(pipe.tokenizer(text)["input_ids"]) <= room]
    counts = compare(texts, architecture, ours, pipe, tally, STRATEGIES)
    for count in counts:
        count.check(least=4 * len(texts))


@pytest.mark.parametrize("architecture", SOME)
@pytest.mark.parametrize("stride", [None, 0, 16], ids=["no stride", "stride 0", "stride 16"])
def test_documents_longer_than_the_window(
    architecture: str,
    stride: int | None,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[str]],
) -> None:
    pipe = theirs(architecture, "ner")
    # With stride transformers refuses to give the tokens themselves.
    given = {None: ("none", "simple"), 0: ("simple", "max"), 16: STRATEGIES[1:]}
    strategies = given[stride]
    texts = some(LONG)
    for count in compare(texts, architecture, ours, pipe, tally, strategies, stride=stride):
        count.check(least=25 * len(texts))


@pytest.mark.parametrize("ignored", [[], ["O", "PER", "B-LOC"]], ids=["none", "some"])
@pytest.mark.parametrize("architecture", ["BERT", "RoBERTa", "XLM-R"])
def test_ignored_labels(
    architecture: str,
    ignored: list[str],
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[str]],
) -> None:
    pipe = theirs(architecture, "ner")
    texts = [text for text in some(TEXTS, 4) if len(pipe.tokenizer(text)["input_ids"]) <= 64]
    counts = compare(
        texts, architecture, ours, pipe, tally, ("none", "simple", "first"), ignored=ignored
    )
    for count in counts:
        count.check(least=50)


def compare(
    texts: list[str],
    architecture: str,
    ours: Callable[..., Any],
    pipe: Any,
    tally: Callable[..., Tally],
    strategies: tuple[str, ...],
    *,
    stride: int | None = None,
    ignored: list[str] | None = None,
) -> list[Tally]:
    """Our pipeline and transformers' on the same texts; a tally for each strategy."""
    mine, other = ours(architecture, "ner"), mend(pipe, MendedNer)
    options: dict[str, Any] = {} if ignored is None else {"ignore_labels": ignored}
    given = options if stride is None else {**options, "stride": stride}
    long = any(len(pipe.tokenizer(text)["input_ids"]) > 64 for text in texts)
    counts = []
    kinds = set()
    read = [other.windows(text, stride) for text in texts]
    whole = (
        read
        if stride is not None or not long
        else [other.windows(text, _OUR_STRIDE) for text in texts]
    )
    for strategy in strategies:
        setting = f"{strategy}{_describe(long, stride, ignored)}"
        count = tally("ner", architecture, setting)
        for text, answers, cut, windows in zip(
            texts, mine(texts, aggregation_strategy=strategy, **given), read, whole, strict=True
        ):

            def answer(
                mended: frozenset[str],
                cut: list[Any] = cut,
                windows: list[Any] = windows,
                strategy: str = strategy,
            ) -> list[Any]:
                other.mended = mended
                chosen = _strategy(other, strategy)
                outputs = windows if "cut off" in mended else cut
                return spans(other.postprocess(outputs, **chosen, **options))

            own = spans(answers)
            kinds.update(label for (_, _, label, _), _ in own)
            for entity in answers:
                assert text[entity["start"] : entity["end"]] == entity["word"]
            count.add(
                own, answer(frozenset()), explainer(own, NER_FAULTS, answer), where=repr(text)
            )
        counts.append(count)
    if ignored is None:
        assert kinds >= ({tag[2:] for tag in TAGS[1:]} if strategies[0] != "none" else {*TAGS[1:]})
    return counts


def _strategy(pipe: Any, name: str) -> dict[str, Any]:
    _, _, after = pipe._sanitize_parameters(aggregation_strategy=name)
    return dict(after)


def _describe(long: bool, stride: int | None, ignored: list[str] | None) -> str:
    if ignored is not None:
        return f", ignoring {len(ignored)} labels"
    if not long:
        return ""
    return ", long, no stride" if stride is None else f", long, stride {stride}"

"""Classification beside transformers: labels and scores, for each way of asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from parity.compare import Tally
from parity.graphs import check_both_precisions
from parity.models import ARCHITECTURES, TOPICS, usually
from parity.texts import documents, sentences

pytestmark = pytest.mark.train

SOME = usually(ARCHITECTURES, "BERT", "DistilBERT", "ELECTRA", "ALBERT")
TEXTS = [text for text in sentences(90, seed=11) if text.strip()]
LONG = documents(16, 700, seed=12)
PAIRS = [
    {"text": first, "text_pair": second}
    for first, second in zip(sentences(90, seed=13), sentences(90, seed=14), strict=True)
    if len(first) + len(second) < 120
]


@pytest.mark.parametrize("architecture", SOME)
def test_both_precisions_pass_the_gate(architecture: str, exported: Callable[..., Any]) -> None:
    _, report = exported(architecture, "classification", problem_type="single_label_classification")
    check_both_precisions(report)
    assert report.bundle.manifest.labels == list(TOPICS)


@pytest.mark.parametrize("architecture", SOME)
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_labels_and_scores(
    architecture: str,
    problem: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
    some: Callable[..., list[Any]],
) -> None:
    mine = ours(architecture, "classification", problem_type=problem)
    pipe = theirs(architecture, "classification", problem_type=problem)
    kind = problem.split("_")[0]
    winners = set()
    short = [_fitting(pipe.tokenizer, some(inputs, 7)) for inputs in (TEXTS, PAIRS)]
    for inputs, more in ((short[0], {}), (short[1], {}), (some(LONG, 5), {"truncation": True})):
        for top_k in (1, 3, None):
            count = tally("classification", architecture, f"{kind}-label, top_k {top_k}")
            expected = pipe(inputs, top_k=top_k, **more)
            given = mine(inputs, top_k=top_k, **more)
            for one, two in zip(given, expected, strict=True):
                assert [answer["label"] for answer in one] == [answer["label"] for answer in two]
                count.add(*(_answers(answers) for answers in (one, two)))
                winners.add(one[0]["label"])
            count.check(least=len(inputs))
    assert len(winners) > 2  # of five, so that there was something to be wrong about


@pytest.mark.parametrize("architecture", SOME)
def test_one_text_and_many_have_the_same_shape(
    architecture: str, ours: Callable[..., Any], theirs: Callable[..., Any]
) -> None:
    settings = {"problem_type": "single_label_classification"}
    mine = ours(architecture, "classification", **settings)
    pipe = theirs(architecture, "classification", **settings)
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS[:2]):
        for options in ({}, {"top_k": 1}, {"top_k": None}):
            assert _shape(mine(inputs, **options)) == _shape(pipe(inputs, **options))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_the_function_that_makes_scores_of_logits(
    function: str,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    tally: Callable[..., Tally],
) -> None:
    settings = {"problem_type": "single_label_classification"}
    options = {"top_k": None, "function_to_apply": function}
    pipe = theirs("BERT", "classification", **settings)
    texts = _fitting(pipe.tokenizer, TEXTS)
    count = tally("classification", "BERT", f"function {function}")
    for one, two in zip(
        ours("BERT", "classification", **settings)(texts, **options),
        pipe(texts, **options),
        strict=True,
    ):
        count.add(_answers(one), _answers(two))
    count.check(least=len(texts) * len(TOPICS))


def _fitting(tokenizer: Any, inputs: list[Any]) -> list[Any]:
    """Those that are no longer than the model's window: of others transformers makes an error."""
    rows = [{"text": item} if isinstance(item, str) else item for item in inputs]
    kept = [
        item
        for item, row in zip(inputs, rows, strict=True)
        if len(tokenizer(**row)["input_ids"]) <= tokenizer.model_max_length
    ]
    assert len(kept) >= len(inputs) // 4
    return kept


def _answers(answers: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(answer["label"], answer["score"]) for answer in answers]


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return sorted(value)

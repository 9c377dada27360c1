"""Answers of the embedded models hold values of Python alone, and none that JSON cannot write."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from nlplug import pipeline

TEXTS = ["I loved it.", "Anna lives in Paris.", "!!!", "-", "我喜欢北京。", "😀", "a " * 600]
QUESTIONS = [
    {"question": "Where does Anna live?", "context": "Anna lives in Paris."},
    {"question": "Who won the match?", "context": "Nothing is said of that here."},
    {"question": "?", "context": '"'},
]
CALLS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("sentiment", TEXTS, {}),
    ("sentiment-zh", TEXTS, {"top_k": None}),
    ("intents-en", TEXTS, {"top_k": 3, "min_score": 0.9}),
    ("topics-zh", TEXTS, {"function_to_apply": "none"}),
    ("ner", TEXTS, {}),
    ("ner", TEXTS, {"aggregation_strategy": "none"}),
    ("ner-zh", TEXTS, {"aggregation_strategy": "average"}),
    ("qa", QUESTIONS, {"handle_impossible_answer": True}),
    ("qa", QUESTIONS, {"handle_impossible_answer": True, "top_k": 3, "min_score": 0.99}),
    ("generation", ["Once upon a time"], {"max_new_tokens": 3, "details": True}),
    ("translation", ["I loved it."], {"num_beams": 2, "num_return_sequences": 2}),
]


def values(answer: Any) -> Iterator[Any]:
    """All values of an answer."""
    if isinstance(answer, dict):
        yield from answer
        for value in answer.values():
            yield from values(value)
    elif isinstance(answer, list | tuple):
        for value in answer:
            yield from values(value)
    else:
        yield answer


@pytest.mark.parametrize(("model", "inputs", "options"), CALLS)
def test_answers_hold_plain_finite_values(
    model: str, inputs: list[Any], options: dict[str, Any]
) -> None:
    more = {} if model == "generation" else {"on_foreign": "ignore"}
    with pipeline(*_names(model), **more) as pipe:
        answers = [pipe(one, **options) for one in inputs] + [pipe(inputs, **options)]
    for value in values(answers):
        assert type(value) in (str, int, float, bool, type(None)), repr(value)
        if type(value) is float:
            assert math.isfinite(value)
            assert math.copysign(1, value) > 0 or value < 0, "-0.0"


def _names(model: str) -> tuple[str, ...]:
    tasks = {"sentiment-zh": "sentiment", "intents-en": "classification"}
    tasks |= {"topics-zh": "classification", "ner-zh": "ner"}
    return (tasks[model], model) if model in tasks else (model,)

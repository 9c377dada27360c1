"""The packaged models: the same text has the same answer, alone, in any batch, and served."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from server_kit import running

from nlplug import Pipeline, PluginHost, pipeline
from nlplug.models.resolve import resolve
from nlplug.server.app import create_app

BOUND = 1e-4
BASE = (
    "I loved it.",
    "The train to Lyon was late again, and nobody at the station could say why.",
    "What is my balance?",
    "Anna Weber moved from Paris to New York in 1998 and joined Acme Ltd.",
    "No.",
    "Great value: it arrived early, works as described, and the battery lasts for days!!! " * 6,
    "I waited for two hours.",
    "WOW 😀😀😀 $$$ 100% @@@",
)
TEXTS = [f"{text} {more}".strip() for more in ("", "Really.", "Why?", "x" * 30) for text in BASE]
GREEDY = {"do_sample": False, "max_new_tokens": 12}
INPUTS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "sentiment": (list(TEXTS), {"top_k": None}),
    "classification": (list(TEXTS), {"top_k": None, "min_score": 0.0}),
    "ner": (list(TEXTS), {}),
    "qa": (
        [{"question": "Who moved to New York?", "context": text + BASE[3]} for text in TEXTS],
        {"top_k": 3},
    ),
    "translation": (TEXTS[:16], {}),
    "generation": ([" ".join(text.split()[:6]) for text in TEXTS[:16]], GREEDY),
}


@pytest.fixture(scope="module", params=sorted(INPUTS))
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    host = PluginHost.discover()
    task = host.task(request.param)
    with Pipeline(task, resolve(task.default_model, host=host), threads=1) as opened:
        yield opened


def difference(one: Any, other: Any) -> float:
    """The largest difference of two answers' scores; infinity where anything else differs."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(difference, one, other), default=0.0)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    return 0.0 if one == other else float("inf")


def test_every_default_model_is_tested() -> None:
    host = PluginHost.discover()
    packaged = {name for name in host.task_names() if host.task(name).default_model}
    assert set(INPUTS) == packaged


def test_its_graphs_do_not_take_scales_from_the_batch(pipe: Pipeline) -> None:
    assert pipe.precision == "int8"
    assert pipe.bundle.scales_by_batch == []


def test_its_loss_is_within_the_usual_budget_of_the_gate(pipe: Pipeline) -> None:
    assert pipe.bundle.manifest is not None
    assert pipe.bundle.manifest.metrics["gate"]["budget"] == 0.005
    assert pipe.bundle.record("int8").metrics["loss"] <= 0.005


def test_a_text_has_the_same_answer_alone_and_in_a_batch(pipe: Pipeline) -> None:
    inputs, options = INPUTS[pipe.definition.name]
    alone = [pipe([item], **options)[0] for item in inputs]
    for step in (1, 3, 7):  # other neighbours each time
        order = sorted(range(len(inputs)), key=lambda place, step=step: place * step % 31)
        batch = pipe([inputs[place] for place in order], **options)
        for place, answer in zip(order, batch, strict=True):
            assert difference(alone[place], answer) <= BOUND, inputs[place]


def test_a_text_has_the_same_answer_from_a_busy_server() -> None:
    host = PluginHost.discover()
    task = host.task("sentiment")
    with Pipeline(task, resolve(task.default_model, host=host), threads=1) as pipe:
        alone = {text: pipe(text)[0] for text in TEXTS}
    app = create_app(host, task="sentiment", threads=1)
    with running(app) as address, httpx.Client(base_url=address, timeout=60) as client:

        def ask(text: str) -> Any:
            reply = client.post("/models/sentiment", json={"inputs": text})
            return reply.raise_for_status().json()

        with ThreadPoolExecutor(16) as callers:
            for text, answer in zip(TEXTS * 3, callers.map(ask, TEXTS * 3), strict=True):
                best = answer[0][0] if isinstance(answer[0], list) else answer[0]
                assert difference(alone[text], best) <= BOUND, text


@pytest.mark.parametrize("single", ["No.", BASE[3] * 2])
def test_a_pair_has_the_same_answer_beside_a_single_text(single: str) -> None:
    both = [{"text": single}, {"text": BASE[0], "text_pair": BASE[6]}]
    with pipeline("sentiment", top_k=None) as pipe:
        assert difference(list(pipe(both)), [pipe([one])[0] for one in both]) <= BOUND

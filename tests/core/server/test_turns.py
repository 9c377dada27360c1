"""No request waits for the whole of another one: parts, lanes, and generations side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Event
from typing import Any

import pytest
from server_kit import WAIT, Gate

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.errors import Overloaded
from nlplug.families.one_pass import GraphRunner, Row
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.server import batching, create_app
from nlplug.server.batching import Batcher
from nlplug.server.metrics import Metrics
from nlplug.server.serving import LONG


class HoldingTask(SequenceClassificationTask):
    """Holds the texts that begin with "hold" until they are let go.

    Attributes:
        held: One event for each text that came; set when it is held.
    """

    name = "holding"
    title = "Holding"
    description = "Holds some texts."

    def __init__(self, calls: int = 1) -> None:
        self.calls = calls
        self.let_go = Event()
        self.held = {f"hold{number}": Event() for number in range(6)}

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        task = self

        class Model(SequenceClassificationModel):
            def encode(self, inputs: Sequence[Any], options: Any) -> list[list[Row]]:
                for item in inputs:
                    if (first := item.text.split()[0]) in task.held:
                        task.held[first].set()
                        assert task.let_go.wait(WAIT)
                return super().encode(inputs, options)

        return Model(bundle)

    def load(self, bundle: Bundle, **settings: Any) -> Any:
        calls = self.calls

        class Parallel(GraphRunner):
            @property
            def concurrency(self) -> int:
                return calls

        return Parallel(self.bind(bundle), bundle.onnx_file("fp32"), threads=1)


@pytest.fixture
def task() -> Iterator[HoldingTask]:
    task = HoldingTask(calls=3)
    yield task
    task.let_go.set()


@pytest.fixture
def pipe(task: HoldingTask, bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(task, bundle) as pipe:
        yield pipe
        task.let_go.set()


@pytest.fixture
def batcher(task: HoldingTask, pipe: Pipeline) -> Iterator[Batcher]:
    batcher = Batcher("m", lambda: pipe, max_batch=4, max_queue=8, metrics=Metrics())
    yield batcher
    task.let_go.set()
    assert batcher.close()


def submit(batcher: Batcher, pipe: Pipeline, *texts: str, **options: Any) -> Future[list[Any]]:
    return batcher.submit([pipe.definition.Input(text=text) for text in texts], options)  # type: ignore[call-arg]


def held_one_by_one(
    task: HoldingTask, ask: Callable[[str], Future[list[Any]]], texts: Sequence[str]
) -> list[Future[list[Any]]]:
    """Ask for texts, each when the one before is held: others would be put into one batch."""
    futures = []
    for text in texts:
        futures.append(ask(text))
        assert task.held[text.split()[0]].wait(WAIT)
    return futures


def labels(future: Future[list[Any]]) -> list[str]:
    return [answer[0]["label"] for answer in future.result(WAIT)]


def test_a_runner_that_takes_several_calls_is_given_them(
    task: HoldingTask, pipe: Pipeline, batcher: Batcher
) -> None:
    ask = partial(submit, batcher, pipe)
    long = held_one_by_one(task, ask, ["hold0 good", "hold1 good"])
    assert labels(submit(batcher, pipe, "bad")) == ["negative"]
    assert not any(one.done() for one in long)
    task.let_go.set()
    assert [labels(one) for one in long] == [["positive"], ["positive"]]


def test_it_is_not_given_more_than_it_takes(
    task: HoldingTask, pipe: Pipeline, batcher: Batcher
) -> None:
    ask = partial(submit, batcher, pipe)
    held = held_one_by_one(task, ask, [f"hold{number} good" for number in range(3)])
    waiting = [submit(batcher, pipe, "bad"), submit(batcher, pipe, "dull")]
    assert batcher.waiting == 2
    task.let_go.set()
    assert [labels(one) for one in (*held, *waiting)] == [["positive"]] * 3 + [["negative"]] * 2


def test_the_parts_of_lists_keep_their_order_in_any_number_of_lanes(
    pipe: Pipeline, batcher: Batcher
) -> None:
    words = [["good" if (n * k) % 3 else "bad" for n in range(11)] for k in range(1, 7)]
    futures = [submit(batcher, pipe, *some, top_k=1) for some in words]
    expected = [["positive" if word == "good" else "negative" for word in some] for some in words]
    assert [labels(future) for future in futures] == expected
    assert batcher.waiting == 0


def test_a_batch_is_bounded_by_its_characters(
    gated: Pipeline, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "PART", 20)
    batcher = Batcher("m", lambda: gated, max_batch=8, max_queue=8, metrics=Metrics())
    submit(batcher, gated, "first")
    assert gate.entered.wait(WAIT)
    large = submit(batcher, gated, *["good good"] * 5, "good " * 30)
    small = submit(batcher, gated, "bad", "bad")
    gate.opened.set()
    assert labels(large) == ["positive"] * 6
    assert labels(small) == ["negative"] * 2
    three = ["good good"] * 3
    assert gate.batches == [["first"], three, ["bad", "bad"], [*three[:2], "good " * 30]]
    assert batcher.close()


def test_closing_refuses_the_parts_that_are_left_in_all_lanes(
    task: HoldingTask, pipe: Pipeline, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures = [submit(batcher, pipe, f"hold{number}", *["good"] * 9) for number in range(2)]
    assert all(task.held[f"hold{number}"].wait(WAIT) for number in range(2))
    monkeypatch.setattr(batching, "LAST_WAIT", 0.0)
    assert not batcher.close(by=0.0)
    task.let_go.set()
    for future in futures:
        with pytest.raises(Overloaded, match="shutting down"):
            future.result(WAIT)
    monkeypatch.undo()
    assert batcher.close()
    assert not batcher.loaded


def test_a_document_waits_neither_for_another_one_nor_for_short_texts(
    empty_host: PluginHost, task: HoldingTask, pipe: Pipeline
) -> None:
    serving = create_app(empty_host, models={"holding": pipe}).state.nlplug
    served = serving.catalog.find("holding")

    def ask(text: str) -> Future[list[Any]]:
        options = {"explain": True} if "explained" in text else {}  # the model reads it many times
        items = [pipe.definition.Input(text=part) for part in text.split("|")]  # type: ignore[call-arg]
        future: Future[list[Any]] = serving.submit(served, items, options)
        return future

    short = [f"hold{number} good" for number in range(3)]
    texts = "|".join(["hold4 good", *["good " * (LONG // 6)] * 3])  # more than a batch
    documents = ["hold3 " + "good " * LONG, texts, "hold5 good, explained"]
    held = held_one_by_one(task, ask, [*short, *documents])
    assert labels(ask("bad " * LONG)) == ["negative"]
    assert not any(one.done() for one in held)
    task.let_go.set()
    explained = held.pop().result(WAIT)
    assert explained[0]["answer"][0]["label"] == "positive"
    assert [labels(one) for one in held] == [["positive"]] * 4 + [["positive"] * 4]
    serving.close()
    assert serving.stuck == []

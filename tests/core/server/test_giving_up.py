"""Work that nobody waits for any more ends, and whoever waits behind it is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from hashlib import sha256
from threading import Event
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from server_kit import WAIT, Gate

from nlplug import Bundle, Pipeline, PluginHost, TaskInput
from nlplug.errors import Overloaded
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.runtime.answers import Answers
from nlplug.runtime.engine import Engine
from nlplug.runtime.session import OnnxExecutor
from nlplug.server import create_app
from nlplug.server.batching import Batcher
from nlplug.server.metrics import Metrics
from nlplug.task import Runner

Connect = Callable[[FastAPI], httpx.Client]

BIG = "good " * 20_000
"""Its windows take many seconds."""
_WORK = bytes(10_000_000)


class Laborious(OnnxExecutor):
    """Takes as long for a window as a large model does, and counts them."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle.onnx_file("fp32"), threads=1)
        self.entered = Event()
        self.runs = 0

    def run(self, feeds: dict[str, Any], *, alone: bool = False) -> dict[str, Any]:
        self.runs += 1
        self.entered.set()
        sha256(_WORK)
        return super().run(feeds, alone=alone)


class LaboriousRunner(Runner):
    """Runs a window at a time."""

    @property
    def device(self) -> str:
        return "cpu"

    def __init__(self, executor: OnnxExecutor, model: Any) -> None:
        self._engine = Engine(executor, model, token_budget=1)

    def map(self, inputs: Iterable[TaskInput], options: Any) -> Answers:
        return self._engine.map(inputs, options)

    def open(self) -> None:
        pass

    def close(self) -> None:
        self._engine.close()


class LaboriousTask(SequenceClassificationTask):
    name = "laborious"
    title = "Laborious"
    description = "Takes its time."

    def __init__(self, executor: OnnxExecutor) -> None:
        self._executor = executor

    def load(self, bundle: Bundle, **settings: Any) -> Any:
        return LaboriousRunner(self._executor, self.bind(bundle))


@pytest.fixture
def executor(bundle: Bundle) -> Laborious:
    return Laborious(bundle)


@pytest.fixture
def slow(executor: Laborious, bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(LaboriousTask(executor), bundle) as pipe:
        yield pipe


@pytest.fixture
def loading() -> Iterator[Event]:
    """Set to let the batcher load its model and begin."""
    event = Event()
    yield event
    event.set()


@pytest.fixture
def batcher(slow: Pipeline, loading: Event) -> Iterator[Batcher]:
    batcher = batcher_of(slow, loading)
    yield batcher
    loading.set()
    batcher.close()


def batcher_of(pipe: Pipeline, loading: Event) -> Batcher:
    def load() -> Pipeline:
        assert loading.wait(WAIT)
        return pipe

    return Batcher("m", load, max_batch=4, max_queue=8, metrics=Metrics())


def submit(batcher: Batcher, pipe: Pipeline, *texts: str) -> Future[list[Any]]:
    return batcher.submit([pipe.definition.Input(text=text) for text in texts], {})  # type: ignore[call-arg]


def label(future: Future[list[Any]]) -> str:
    return str(future.result(WAIT)[0][0]["label"])


def test_after_a_request_that_took_too_long_the_next_is_answered_in_time(
    empty_host: PluginHost, slow: Pipeline, connect: Connect
) -> None:
    client = connect(create_app(empty_host, models={"slow": slow}, timeout=1.0))
    assert client.post("/models/slow", json={"inputs": BIG}).status_code == 504
    answer = client.post("/models/slow", json={"inputs": "good"})
    assert answer.status_code == 200
    assert answer.json()[0][0]["label"] == "positive"


def test_closing_cuts_off_what_is_under_way_and_what_waits_behind_it(
    empty_host: PluginHost, slow: Pipeline, executor: Laborious
) -> None:
    serving = create_app(empty_host, models={"slow": slow}).state.nlplug
    served = serving.catalog.find("slow")
    big, behind = (
        serving.submit(served, [slow.definition.Input(text=text)], options)  # type: ignore[call-arg]
        for text, options in ((BIG, {}), (BIG, {"top_k": 1}))
    )
    assert executor.entered.wait(WAIT)
    serving.close()
    for future in (big, behind):
        with pytest.raises(Overloaded, match="shutting down"):
            future.result(0)
    assert executor.runs < len(BIG.split()) / 30


def test_whoever_shares_a_batch_with_a_big_request_is_answered_when_that_is_given_up(
    batcher: Batcher, slow: Pipeline, loading: Event, executor: Laborious
) -> None:
    before, big, behind = (submit(batcher, slow, text) for text in ("good", BIG, "bad"))
    loading.set()
    assert executor.entered.wait(WAIT)
    big.cancel()
    assert (label(before), label(behind)) == ("positive", "negative")
    assert executor.runs < len(BIG.split()) / 30


def test_of_a_big_request_that_is_given_up_no_further_part_begins(
    batcher: Batcher, slow: Pipeline, loading: Event, executor: Laborious
) -> None:
    big = submit(batcher, slow, *[BIG] * 8)
    loading.set()
    assert executor.entered.wait(WAIT)
    big.cancel()
    assert label(submit(batcher, slow, "bad")) == "negative"
    assert executor.runs < len(BIG.split()) / 30


def test_for_a_small_request_that_is_given_up_no_batch_begins_anew(
    gated: Pipeline, gate: Gate, loading: Event
) -> None:
    batcher = batcher_of(gated, loading)
    gone, *others = (submit(batcher, gated, text) for text in ("bad", "good", "dull"))
    loading.set()
    assert gate.entered.wait(WAIT)
    gone.cancel()
    gate.opened.set()
    assert [label(other) for other in others] == ["positive", "negative"]
    assert gate.batches == [["bad", "good", "dull"]]
    batcher.close()

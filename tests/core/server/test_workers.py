"""A model that fails in any way fails one request; a model that hangs does not hold up the end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from server_kit import WAIT, EchoTask, Gate

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.errors import Overloaded
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.runtime.answers import TextPiece
from nlplug.server import batching, create_app
from nlplug.server.batching import Batcher
from nlplug.server.metrics import Metrics

Connect = Callable[[FastAPI], httpx.Client]
LONG = "good " * 2000


class Panic(BaseException):
    """As a panic in Rust arrives: no Exception."""


FAILURES = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "panic": Panic("index out of bounds"),
    "cancelled": asyncio.CancelledError(),
    "cancelled future": concurrent.futures.CancelledError(),
    "generator exit": GeneratorExit(),
    "timeout": TimeoutError("a connection of the plugin"),
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"),
}


class FragileTask(SequenceClassificationTask):
    """Fails in the way that the text names."""

    name = "fragile"
    title = "Fragile"
    description = "Fails when told to."

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        class Model(SequenceClassificationModel):
            def decode(self, item: Any, rows: Any, outputs: Any, options: Any) -> Any:
                if item.text in FAILURES:
                    raise FAILURES[item.text]
                return super().decode(item, rows, outputs, options)

        return Model(bundle)


@pytest.fixture
def fragile(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(FragileTask(), bundle, threads=1) as pipe:
        yield pipe


@pytest.mark.parametrize("failure", sorted(FAILURES.keys() - {"full"}))
def test_a_failure_of_any_kind_fails_one_request_alone(
    empty_host: PluginHost, fragile: Pipeline, connect: Connect, failure: str
) -> None:
    client = connect(create_app(empty_host, models={"fragile": fragile}, preload=True))
    for _ in range(2):
        failed = client.post("/models/fragile", json={"inputs": failure})
        assert (failed.status_code, failed.json()["error_type"]) == (500, "internal")
        assert client.post("/models/fragile", json={"inputs": "good"}).status_code == 200
        assert client.get("/ready").json() == {"status": "ready"}


def test_a_full_disk_is_told_as_such(
    empty_host: PluginHost, fragile: Pipeline, connect: Connect
) -> None:
    client = connect(create_app(empty_host, models={"fragile": fragile}))
    failed = client.post("/models/fragile", json={"inputs": "full"})
    assert (failed.status_code, failed.json()["error_type"]) == (507, "disk_full")
    assert "The disk is full at /tmp/x" in failed.json()["error"]


def test_a_stream_that_fails_in_any_way_is_told(
    empty_host: PluginHost, bundle: Bundle, connect: Connect
) -> None:
    class ExitingTask(EchoTask):
        def load(self, bundle: Bundle, **settings: Any) -> Any:
            runner = super().load(bundle, **settings)

            class Exiting(type(runner)):  # type: ignore[misc] # the kit's own runner
                def stream(self, item: Any, options: Any) -> Iterator[TextPiece]:
                    raise SystemExit(3)
                    yield TextPiece("")

            return Exiting(self)

    app = create_app(empty_host, models={"echo": Pipeline(ExitingTask(), bundle)})
    answer = connect(app).post("/models/echo", json={"inputs": "a", "stream": True})
    assert (answer.status_code, answer.json()["error_type"]) == (500, "internal")


def test_a_model_that_exits_while_it_is_loaded_is_tried_again(gated: Pipeline, gate: Gate) -> None:
    outcomes: list[Pipeline | BaseException] = [gated, SystemExit(3)]

    def load() -> Pipeline:
        outcome = outcomes.pop()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    gate.opened.set()
    batcher = Batcher("m", load, max_batch=4, max_queue=4, metrics=Metrics())
    inputs = [gated.definition.Input(text="good")]  # type: ignore[call-arg]
    with pytest.raises(RuntimeError, match="SystemExit"):
        batcher.submit(inputs, {}).result(WAIT)
    assert batcher.submit(inputs, {}).result(WAIT)[0][0]["label"] == "positive"
    assert batcher.close()


def test_a_worker_that_ends_is_started_anew(gated: Pipeline, gate: Gate) -> None:
    """The model goes away under the worker, which nothing else provides for."""

    @contextmanager
    def load() -> Iterator[Pipeline]:
        yield gated

    class Failing(Batcher):
        failed = False

        def _gather(self) -> Any:
            if not self.failed:
                self.failed = True
                raise SystemExit(3)
            return super()._gather()

    gate.opened.set()
    batcher = Failing("m", load, max_batch=4, max_queue=4, metrics=Metrics())
    inputs = [gated.definition.Input(text="good")]  # type: ignore[call-arg]
    with pytest.raises(RuntimeError, match="SystemExit"):
        batcher.submit(inputs, {}).result(WAIT)
    assert batcher.submit(inputs, {}).result(WAIT)[0][0]["label"] == "positive"
    assert batcher.loaded
    assert batcher.close()


def test_a_model_without_a_worker_is_not_ready(empty_host: PluginHost, fragile: Pipeline) -> None:
    app = create_app(empty_host, models={"fragile": fragile}, preload=True)
    serving = app.state.nlplug
    serving.preload()
    assert serving.missing == []
    serving.close()
    assert serving.missing == ["fragile"]


def test_closing_leaves_a_model_behind_that_does_not_come_back(
    empty_host: PluginHost, gated: Pipeline, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "LAST_WAIT", 0.1)
    serving = create_app(empty_host, models={"gated": gated}).state.nlplug
    served = serving.catalog.find("gated")
    future = serving.submit(served, [gated.definition.Input(text="good")], {})  # type: ignore[call-arg]
    assert gate.entered.wait(WAIT)
    serving.close()
    assert serving.stuck == ["gated"]
    with pytest.raises(Overloaded, match="shutting down"):
        future.result(0)


def test_a_short_text_does_not_wait_for_a_long_one(
    empty_host: PluginHost, bundle: Bundle, connect: Connect
) -> None:
    entered, opened = Event(), Event()

    class PatientTask(SequenceClassificationTask):
        name = "patient"
        title = "Patient"
        description = "Holds long texts."

        def bind(self, bundle: Bundle) -> SequenceClassificationModel:
            class Model(SequenceClassificationModel):
                def decode(self, item: Any, rows: Any, outputs: Any, options: Any) -> Any:
                    if len(item.text) > 1000:
                        entered.set()
                        opened.wait(WAIT)
                    return super().decode(item, rows, outputs, options)

            return Model(bundle)

    with Pipeline(PatientTask(), bundle, threads=1) as pipe:
        app = create_app(empty_host, models={"patient": pipe})
        client = connect(app)
        serving = app.state.nlplug
        served = serving.catalog.find("patient")
        long = serving.submit(served, [pipe.definition.Input(text=LONG)], {})  # type: ignore[call-arg]
        assert entered.wait(WAIT)
        short = client.post("/models/patient", json={"inputs": ["bad"] * 32})
        assert short.json()[31][0]["label"] == "negative"
        assert not long.done()
        opened.set()
        assert long.result(WAIT)[0][0]["label"] == "positive"


@pytest.mark.parametrize("order", [("tone", "stars"), ("stars", "tone")])
def test_two_tasks_on_one_model_answer_each_for_itself(
    order: tuple[str, str], site_of_two: PluginHost, connect: Connect
) -> None:
    client = connect(create_app(site_of_two))
    expected = {"tone": "positive", "stars": "5 stars"}
    found = {
        name: client.post(f"/models/{name}", json={"inputs": "good"}).json()[0][0]["label"]
        for name in order
    }
    assert found == expected
    assert client.get("/models/stars").json()["model"] == "tone-tiny"


@pytest.fixture
def site_of_two(zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    """A host with the task ``tone`` and a second one, ``stars``, on the same packaged model."""
    from plugin_zoo import install

    install(tmp_path, "nlplug-stars", {"stars_p": STARS}, plugins={"stars": "stars_p"})
    monkeypatch.syspath_prepend(str(zoo))
    monkeypatch.syspath_prepend(str(tmp_path))
    return PluginHost.discover(path=[str(zoo), str(tmp_path)])


STARS = """
from nlplug import hookimpl
from nlplug.families.sequence_classification import (
    SequenceClassificationModel, SequenceClassificationTask,
)


class Model(SequenceClassificationModel):
    def decode(self, item, rows, outputs, options):
        first = super().decode(item, rows, outputs, options)[0]
        return [first | {"label": "5 stars" if first["label"] == "positive" else "1 star"}]


class Stars(SequenceClassificationTask):
    name = "stars"
    title = "Stars"
    description = "One to five."
    default_model = "tone-tiny"

    def bind(self, bundle):
        return Model(bundle)


@hookimpl
def register_tasks():
    return [Stars()]
"""

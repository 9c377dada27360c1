"""Every error is JSON that says what is wrong, with which value, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from time import sleep
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from server_kit import WAIT, Gate

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.families.one_pass import Row
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.server import create_app

Connect = Callable[[FastAPI], httpx.Client]


class ExplodingTask(SequenceClassificationTask):
    """Fails in a way that nobody foresaw."""

    name = "exploding"
    title = "Exploding"
    description = "Never answers."

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        class Model(SequenceClassificationModel):
            def encode(self, inputs: Sequence[Any], options: Any) -> list[list[Row]]:
                raise RuntimeError("a secret of the inside")

        return Model(bundle)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"inputs": 5}', "inputs: "),
        ('{"inputs": null}', "inputs: "),
        ('{"inputs": ["good", 5]}', "inputs.1: "),
        ('{"inputs": [["good"]]}', "inputs.0: "),
        ('{"inputs": {"text": 5}}', "inputs: Wrong input of the task 'tone': text is 5"),
        ('{"inputs": {"context": "good"}}', "inputs: The input of the task 'tone' lacks 'text'"),
        ('{"inputs": "good", "parameters": []}', "parameters: "),
        ('{"inputs": "good", "parameters": {"beams": 2}}', "parameters: The task 'tone' has no"),
        ('{"inputs": "good", "parameters": {"top_k": 0}}', "parameters: Wrong option"),
        ('{"inputs": "good", "parameters": {"top_k": "many"}}', "parameters: Wrong option"),
        ('{"inputs": "good", "top_k": 1}', "top_k: "),
        ('{"text": "good"}', "inputs: "),
        ('["good"]', "The body is an array"),
        ("", "The body is empty"),
        ("{", "The body is not valid JSON"),
        (
            '{"inputs": "good", "parameters": {"top_k": 1, "top_k": 2}}',
            "The body is not valid JSON: the key 'top_k' is repeated",
        ),
        ("[" * 100_000, "The body is not valid JSON"),
        ('{"inputs": "\\ud800"}', "inputs: Wrong input of the task 'tone': text holds the lone"),
        ('{"inputs": ["good", "\\ud800"]}', "inputs.1: "),
    ],
)
def test_a_malformed_request_is_told_where(client: httpx.Client, body: str, path: str) -> None:
    response = client.post("/models/tone", content=body)
    assert response.status_code == 422
    found = response.json()
    assert found["error"].startswith(path)
    assert found["error_type"] == "validation"
    assert found["hint"]


def test_bytes_that_are_no_text_are_a_malformed_request(client: httpx.Client) -> None:
    response = client.post("/models/tone", content=b'{"inputs": "\xff"}')
    assert response.status_code == 422
    assert response.json()["error_type"] == "validation"


def test_an_unknown_option_names_the_nearest(client: httpx.Client) -> None:
    body = {"inputs": "good", "parameters": {"topk": 1}}
    assert "Did you mean 'top_k'?" in client.post("/models/tone", json=body).json()["hint"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("POST", "/models/ton", 404, "not_found"),
        ("GET", "/models/ton", 404, "not_found"),
        ("POST", "/models/tone/pipeline/translation", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/", 405, "method_not_allowed"),
        ("PUT", "/models/tone", 405, "method_not_allowed"),
        ("POST", "/models/zoo-import", 500, "plugin"),
    ],
)
def test_a_wrong_address_is_answered_in_json(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    response = client.request(method, path, content='{"inputs": "good"}')
    assert (response.status_code, response.json()["error_type"]) == (status, kind)
    assert response.json()["hint"]
    if status == 405:
        assert response.headers["allow"] == ("POST" if path == "/" else "GET, HEAD, POST")


def test_an_unknown_model_names_the_nearest_and_those_served(client: httpx.Client) -> None:
    hint = client.post("/models/ton", json={"inputs": "good"}).json()["hint"]
    assert hint.startswith("Did you mean 'tone'? Its models are: tone, tone-tiny.")
    long = client.post(f"/models/{'tone' * 5_000}", json={"inputs": "good"})
    assert (long.status_code, len(long.content) < 500) == (404, True)


def test_without_a_default_the_root_names_the_models(
    empty_host: PluginHost, bundle: Bundle, gated: Pipeline, connect: Connect
) -> None:
    app = create_app(empty_host)
    response = connect(app).post("/", json={"inputs": "good"})
    assert response.status_code == 404
    assert "pip install" in response.json()["hint"]


def test_too_large_a_body_is_refused(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, max_body=100))
    response = client.post("/models/tone", json={"inputs": "good " * 100})
    assert response.status_code == 413
    assert response.json()["error"] == "The body is larger than 100 bytes."


def test_a_body_of_unknown_length_is_refused_as_it_grows(
    host: PluginHost, connect: Connect
) -> None:
    client = connect(create_app(host, max_body=100))
    chunks = (b" " * 50 for _ in range(10))
    assert client.post("/models/tone", content=chunks).status_code == 413


def submitting(app: FastAPI, gated: Pipeline) -> Callable[[], Future[Any]]:
    """What puts one more request into the queue of the gated model."""
    serving = app.state.nlplug
    served = serving.catalog.find("gated")
    inputs = [gated.definition.Input(text="good")]  # type: ignore[call-arg]
    return lambda: serving.submit(served, inputs, {})


def test_a_full_queue_says_when_to_come_again(
    empty_host: PluginHost, gated: Pipeline, gate: Gate, connect: Connect
) -> None:
    app = create_app(empty_host, models={"gated": gated}, max_queue=1)
    client, submit = connect(app), submitting(app, gated)
    submit()
    assert gate.entered.wait(WAIT)
    submit()
    response = client.post("/models/gated", json={"inputs": "good"})
    gate.opened.set()
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.json()["error_type"] == "overloaded"


def test_a_request_that_would_wait_too_long_is_told_when_to_come_again(
    empty_host: PluginHost, gated: Pipeline, gate: Gate, connect: Connect
) -> None:
    app = create_app(empty_host, models={"gated": gated}, timeout=0.2)
    client, submit = connect(app), submitting(app, gated)
    slow = submit()
    assert gate.entered.wait(WAIT)
    sleep(2.0)
    gate.opened.set()
    slow.result(WAIT)
    gate.opened.clear()
    gate.entered.clear()
    submit()
    assert gate.entered.wait(WAIT)
    response = client.post("/models/gated", json={"inputs": "good"})
    gate.opened.set()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["error_type"] == "overloaded"


def test_a_request_that_takes_too_long_is_given_up(
    empty_host: PluginHost, gated: Pipeline, gate: Gate, connect: Connect
) -> None:
    client = connect(create_app(empty_host, models={"gated": gated}, timeout=0.1))
    response = client.post("/models/gated", json={"inputs": "good"})
    gate.opened.set()
    assert response.status_code == 504
    assert response.json()["error_type"] == "timeout"
    assert response.json()["hint"].startswith("Send shorter or fewer inputs")


def test_a_client_that_goes_away_takes_its_request_along(
    empty_host: PluginHost, gated: Pipeline, gate: Gate
) -> None:
    app = create_app(empty_host, models={"gated": gated})

    async def work() -> list[int]:
        statuses = []
        messages = iter(
            [
                {"type": "http.request", "body": b'{"inputs": "bad"}', "more_body": False},
                {"type": "http.disconnect"},
            ]
        )

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = asyncio.create_task(client.post("/models/gated", json={"inputs": "good"}))
            await asyncio.to_thread(gate.entered.wait, WAIT)
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/models/gated",
                "headers": [],
                "query_string": b"",
            }
            await app(scope, receive, send)
            gate.opened.set()
            await first
        return statuses

    assert asyncio.run(work()) == [499]
    app.state.nlplug.close()
    assert gate.batches == [["good"]]


def test_what_nobody_foresaw_is_logged_and_shows_nothing_inside(
    empty_host: PluginHost, bundle: Bundle, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with Pipeline(ExplodingTask(), bundle, threads=1) as pipe:
        client = connect(create_app(empty_host, models={"exploding": pipe}))
        response = client.post("/models/exploding", json={"inputs": "good"})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert "a secret of the inside" in caplog.text

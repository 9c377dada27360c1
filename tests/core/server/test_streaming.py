"""Streamed answers: events as they come, errors before and after the first, and who ends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from huggingface_hub import InferenceClient, TextGenerationStreamOutput
from huggingface_hub.errors import ValidationError
from server_kit import WAIT, EchoTask

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.errors import Overloaded
from nlplug.families.causal_lm import CausalTask
from nlplug.runtime.answers import TextPiece
from nlplug.server import create_app
from nlplug.server.metrics import Metrics
from nlplug.server.streaming import Stream, Streams
from nlplug.testing import tiny_text_generator


class TaleTask(CausalTask):
    name = "tale"
    title = "Tale"
    description = "Goes on with a tale."


Connect = Callable[[FastAPI], httpx.Client]


@pytest.fixture
def task() -> EchoTask:
    return EchoTask()


@pytest.fixture
def serve(
    task: EchoTask, bundle: Bundle, empty_host: PluginHost, connect: Connect
) -> Iterator[Callable[..., httpx.Client]]:
    """Gives clients of servers of the echo alone; its gate is open when they end."""

    def start(**settings: Any) -> httpx.Client:
        pipe = Pipeline(task, bundle)
        return connect(create_app(empty_host, models={"echo": pipe}, only=True, **settings))

    yield start
    task.gate.set()


@pytest.fixture
def client(serve: Callable[..., httpx.Client]) -> httpx.Client:
    return serve()


@pytest.fixture
def tale(tmp_path: Path, empty_host: PluginHost, connect: Connect) -> httpx.Client:
    """A client of a server of a real decoder."""
    pipe = Pipeline(TaleTask(), tiny_text_generator(tmp_path / "tale"))
    return connect(create_app(empty_host, models={"tale": pipe}, only=True))


def inference(client: httpx.Client, name: str = "echo") -> InferenceClient:
    return InferenceClient(model=f"{str(client.base_url).rstrip('/')}/models/{name}")


def body(text: str = "a b", **parameters: Any) -> dict[str, Any]:
    return {"inputs": text, "parameters": parameters, "stream": True}


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The values of the events, as they arrive."""
    for line in response.iter_lines():
        if line:
            assert line.startswith("data:")
            yield json.loads(line.removeprefix("data:"))


def metric(client: httpx.Client, line: str) -> str:
    lines = client.get("/metrics").text.splitlines()
    return next(found.rsplit(" ", 1)[1] for found in lines if found.startswith(line))


def test_the_hubs_own_client_reads_the_stream(client: httpx.Client) -> None:
    hub = inference(client)  # kept in a name: its end would close the stream
    said = hub.text_generation("a b", stream=True, max_new_tokens=3)
    assert list(said) == [" a", " b", " a"]


def test_the_last_event_holds_the_whole_text_and_why_it_ends(client: httpx.Client) -> None:
    hub = inference(client)
    told = list(hub.text_generation("a b", stream=True, details=True))
    assert all(isinstance(one, TextGenerationStreamOutput) for one in told)
    assert [one.generated_text for one in told] == [None, None, None, " a b a b"]
    assert told[-1].details is not None
    assert (told[-1].details.finish_reason, told[-1].details.generated_tokens) == ("length", 4)


def test_each_event_is_a_token_with_its_log_probability(tale: httpx.Client) -> None:
    asked = {"max_new_tokens": 5, "details": True, "do_sample": False}
    client = inference(tale, "tale")  # one that is deleted closes its streams
    whole = client.text_generation("once", **asked)
    told = list(client.text_generation("once", stream=True, **asked))
    assert all(isinstance(one, TextGenerationStreamOutput) for one in told)
    assert whole.details is not None
    expected = [(token.id, token.logprob) for token in whole.details.tokens]
    assert [(one.token.id, one.token.logprob) for one in told] == expected
    assert [one.index for one in told] == [1, 2, 3, 4, 5]
    assert "".join(one.token.text for one in told) == told[-1].generated_text
    assert not any(one.token.special for one in told)


def test_of_tokens_that_make_a_piece_together_the_last_has_the_text(tale: httpx.Client) -> None:
    asked = {"max_new_tokens": 4, "do_sample": False, "stop": [" time there xyz"]}
    with tale.stream("POST", "/models/tale", json=body("once", **asked)) as response:
        told = list(events(response))
    assert [one["token"]["text"] for one in told] == [" upon", " a", "", " time there"]
    assert len({one["token"]["id"] for one in told} - {-1}) == 4
    assert [one["generated_text"] for one in told] == [None, None, None, " upon a time there"]
    assert all(one["token"]["logprob"] is None for one in told)


@pytest.mark.parametrize("value", ["end", 3, None])
def test_what_only_python_can_give_is_no_parameter(tale: httpx.Client, value: Any) -> None:
    answer = tale.post("/models/tale", json=body("once", prefix_allowed_tokens_fn=value))
    assert answer.status_code == 422
    assert "has no option 'prefix_allowed_tokens_fn'" in answer.json()["error"]
    assert "prefix_allowed_tokens_fn" not in tale.get("/openapi.json").text
    assert "prefix_allowed_tokens_fn" not in tale.get("/tasks").text


def test_only_the_last_tokens_of_a_long_prompt_are_read(tale: httpx.Client) -> None:
    prompt = "once upon a time " * 40
    answer = tale.post("/models/tale", json=body(prompt))
    assert (answer.status_code, "context is 64" in answer.json()["error"]) == (422, True)
    given = {"max_new_tokens": 3, "do_sample": False}
    ask = inference(tale, "tale").text_generation
    assert ask(prompt, truncate=9, **given) == ask("once upon a time", **given)
    for name in ("truncate", "prompt_length"):
        answer = tale.post("/models/tale", json=body("once", **{name: 0}))
        assert (answer.status_code, "prompt_length" in answer.json()["error"]) == (422, True)


def test_a_text_that_is_not_streamed_can_have_details(client: httpx.Client) -> None:
    found = inference(client).text_generation("a b", details=True, seed=3)
    assert found.generated_text == " a b a b"
    assert found.details is not None
    assert (found.details.finish_reason, found.details.seed) == ("length", 3)
    assert inference(client).text_generation("a b") == " a b a b"


def test_the_prompt_comes_first_where_the_full_text_is_asked_for(client: httpx.Client) -> None:
    found = inference(client).text_generation("a b", details=True, return_full_text=True)
    assert found.generated_text == "a b a b a b"


def test_parameters_that_ask_for_nothing_are_passed_over(client: httpx.Client) -> None:
    found = inference(client).text_generation("a", best_of=1, watermark=False, top_n_tokens=0)
    assert found == " a a a a"
    for name, value in (("watermark", True), ("truncate", 3)):
        answer = client.post("/models/echo", json=body(**{name: value}))
        assert (answer.status_code, name in answer.json()["error"]) == (422, True)


def test_each_event_is_sent_when_it_is_there(client: httpx.Client, task: EchoTask) -> None:
    with client.stream("POST", "/models/echo", json=body(max_new_tokens=0)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        told = events(response)
        assert next(told)["token"]["text"] == " a"
        task.gate.clear()
        heard = 1
        while heard < task.said:  # all that was said while the gate was open
            heard = next(told)["index"]
        assert not task.ended.is_set()


def test_breaks_that_are_no_line_feeds_stay_inside_their_event(client: httpx.Client) -> None:
    text = "一\u2028\x85二\r🎉"
    with client.stream("POST", "/models/echo", json=body(text, max_new_tokens=3)) as response:
        assert [one["token"]["text"] for one in events(response)] == [" 一", " 二", " 🎉"]
    text = "x\ufeff\u200b\u0001"
    with client.stream("POST", "/models/echo", json=body(text, max_new_tokens=1)) as response:
        assert [one["token"]["text"] for one in events(response)] == [f" {text}"]


def test_a_client_that_goes_away_ends_the_decoding(client: httpx.Client, task: EchoTask) -> None:
    with client.stream("POST", "/models/echo", json=body(max_new_tokens=0)) as response:
        next(events(response))
    assert task.ended.wait(WAIT)


def test_a_client_that_goes_away_before_the_first_piece_ends_it_too(
    client: httpx.Client, task: EchoTask
) -> None:
    task.gate.clear()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/models/echo", json=body(max_new_tokens=0), timeout=0.2)
    task.gate.set()
    assert task.ended.wait(WAIT)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (body("! a"), "There is no word '!'."),
        (body(max_new_tokens="many"), "parameters: Wrong option"),
        ({"inputs": ["a"], "stream": True}, "stream: only a single input can be streamed"),
        ({"inputs": "a", "stream": 1}, "stream: this is a number, 1"),
        ({"inputs": "a", "parameters": {"details": "yes"}}, "parameters: details is 'yes'"),
        (
            {"inputs": ["a"], "parameters": {"details": True}},
            "parameters: details are only available",
        ),
    ],
)
def test_an_error_before_the_first_piece_is_a_reply(
    client: httpx.Client, sent: dict[str, Any], words: str
) -> None:
    answer = client.post("/models/echo", json=sent)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(words)
    assert answer.json()["error_type"] == "validation"


def test_an_error_after_it_is_the_last_event(client: httpx.Client) -> None:
    with client.stream("POST", "/models/echo", json=body("a !")) as response:
        first, last = events(response)
    assert first["token"]["text"] == " a"
    assert last == {
        "error": "There is no word '!'.",
        "error_type": "validation",
        "hint": "Leave it out.",
    }
    with pytest.raises(ValidationError, match="no word '!'"):
        hub = inference(client)
        list(hub.text_generation("a !", stream=True))


def test_a_task_whose_answers_come_whole_says_so(host: PluginHost, connect: Connect) -> None:
    answer = connect(create_app(host)).post("/models/tone", json={"inputs": "a", "stream": True})
    assert answer.status_code == 422
    assert "cannot be streamed" in answer.json()["error"]


def test_a_piece_that_takes_too_long_ends_the_stream(
    serve: Callable[..., httpx.Client], task: EchoTask
) -> None:
    client = serve(timeout=0.2)
    with client.stream("POST", "/models/echo", json=body(max_new_tokens=0)) as response:
        told = events(response)
        next(told)
        task.gate.clear()
        assert list(told)[-1]["error_type"] == "timeout"
    assert client.post("/models/echo", json=body()).status_code == 504


def test_some_streams_go_side_by_side_and_a_few_wait(task: EchoTask, bundle: Bundle) -> None:
    loaded: Future[Pipeline] = Future()
    loaded.set_result(Pipeline(task, bundle))
    streams = Streams("m", lambda: loaded, max_streams=2, max_queue=1, metrics=Metrics())
    item, endless = task.Input(text="a"), {"max_new_tokens": 0}  # type: ignore[call-arg]

    async def check() -> None:
        one, two = streams.start(item, endless), streams.start(item, endless)
        assert (await one.more())[0] == (await two.more())[0]
        waiting = streams.start(item, endless)
        with pytest.raises(Overloaded, match="1 streams"):
            streams.start(item, endless)
        waiting.cancel()
        last = streams.start(item, endless)
        one.cancel()
        assert (await last.more())[0] == TextPiece(" a", tokens=1)
        await asyncio.to_thread(streams.close)
        with pytest.raises(Overloaded, match="shutting down"):
            while await two.more():
                pass
        with pytest.raises(Overloaded, match="shutting down"):
            streams.start(item, endless)

    asyncio.run(asyncio.wait_for(check(), WAIT))


def test_pieces_that_arrived_together_are_taken_together_and_then_the_end_or_the_error() -> None:
    one, two = TextPiece("a", tokens=1), TextPiece("b", tokens=2)

    async def check() -> None:
        stream, failing = Stream(lambda _: None), Stream(lambda _: None)
        for arrived in (one, two, None):
            stream.put(arrived)
        assert await stream.more() == [one, two]
        assert await stream.more() == await stream.more() == []
        failing.put(one)
        assert await failing.more() == [one]
        taking = asyncio.create_task(failing.more())
        await asyncio.sleep(0)  # it waits
        await asyncio.to_thread(failing.put, two)
        assert await taking == [two]
        failing.put(one)
        failing.put(RuntimeError("no memory"))
        assert await failing.more() == [one]
        with pytest.raises(RuntimeError, match="no memory"):
            await failing.more()

    asyncio.run(asyncio.wait_for(check(), WAIT))


def test_too_many_streams_are_refused_with_a_429(
    serve: Callable[..., httpx.Client], task: EchoTask
) -> None:
    client = serve(max_streams=1, max_queue=0)
    with client.stream("POST", "/models/echo", json=body(max_new_tokens=0)) as one:
        coming = events(one)  # kept: a generator that is thrown away closes the connection
        next(coming)
        answer = client.post("/models/echo", json=body())
    assert (answer.status_code, answer.json()["error_type"]) == (429, "overloaded")


def test_streams_are_counted(client: httpx.Client) -> None:
    assert client.post("/models/echo", json=body(max_new_tokens=3)).status_code == 200
    assert metric(client, 'nlplug_requests_total{model="echo",status="200"}') == "1.0"
    assert metric(client, 'nlplug_streamed_tokens_total{model="echo"}') == "3.0"
    assert metric(client, 'nlplug_first_token_seconds_count{model="echo"}') == "1.0"
    assert metric(client, 'nlplug_streams{model="echo",task="echo"}') == "0.0"


def test_streaming_is_told_where_the_server_describes_itself(client: httpx.Client) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/models/echo"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["schema"]
    assert request["properties"]["stream"]["type"] == "boolean"
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    assert client.get("/tasks").json()["echo"]["streams"] is True

"""The budget of a request: what is more than it is refused before any work begins."""

from __future__ import annotations

import gzip
import json
import resource
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import thread_time

import httpx
import pytest
from fastapi import FastAPI

from nlplug import PluginHost
from nlplug.errors import OptionError, RequestTooLarge
from nlplug.server import create_app
from nlplug.server.limits import Limits
from nlplug.testing import tiny_translator

Connect = Callable[[FastAPI], httpx.Client]
GZIP = {"Content-Encoding": "gzip"}
DEFAULTS = {"max_new_tokens": 1, "num_beams": 1}


@pytest.mark.parametrize("value", ['""', "{}", "[]", "0", '"\\""'])
def test_a_million_empty_values_are_refused_before_they_are_built(
    client: httpx.Client, value: str
) -> None:
    body = '{"inputs": [' + ",".join([value] * 600_000) + "]}"
    refused = client.post("/models/tone", content=body)
    assert (refused.status_code, refused.json()["error_type"]) == (413, "too_large")
    tracemalloc.start()
    try:
        with pytest.raises(RequestTooLarge, match="320000 values"):
            Limits().check_body(body.encode())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body)


@pytest.mark.parametrize("limits", [{"timeout": float("nan")}, {"max_batch": 0}, {"max_body": -1}])
def test_a_limit_that_is_no_number_above_0_is_refused(
    host: PluginHost, limits: dict[str, float]
) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(limits))} is .*"):
        create_app(host, **limits)


def test_one_long_text_full_of_marks_is_not_many_values() -> None:
    Limits().check_body(json.dumps({"inputs": ",[{" * 500_000 + '\\"'}).encode())


@pytest.mark.parametrize("pattern", ['"', "\\", '\\"', '"a', "a", ",", '"\\'])
def test_counting_takes_linear_time(pattern: str) -> None:
    def seconds(size: int) -> float:
        body = (pattern * size)[:size].encode()
        started = thread_time()
        with suppress(RequestTooLarge):
            Limits(max_inputs=10).check_body(body)
        return thread_time() - started

    small = min(seconds(200_000) for _ in range(3))
    assert seconds(1_600_000) < 40 * small + 0.05


def test_too_many_inputs_are_refused(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, max_inputs=3))
    assert client.post("/models/tone", json={"inputs": ["good"] * 3}).status_code == 200
    refused = client.post("/models/tone", json={"inputs": ["good"] * 4})
    assert refused.status_code == 413
    assert refused.json()["error"] == "inputs: 4 inputs are more than 3."
    assert "--max-inputs" in refused.json()["hint"]


@pytest.mark.parametrize("inputs", ["x" * 11, ["x" * 6, "x" * 5], {"text": "x" * 11}])
def test_too_many_characters_are_refused(
    host: PluginHost, connect: Connect, inputs: object
) -> None:
    client = connect(create_app(host, max_characters=10))
    refused = client.post("/models/tone", json={"inputs": inputs})
    assert refused.status_code == 413
    assert "11 characters are more than 10" in refused.json()["error"]


def test_too_many_new_tokens_are_refused() -> None:
    limits = Limits(max_generated=100)
    limits.check_options({"max_new_tokens": 50}, 2, DEFAULTS)
    limits.check_options({}, 1000, DEFAULTS)
    for options, inputs in (
        ({"max_new_tokens": 101}, 1),
        ({"max_length": 101}, 1),
        ({"max_new_tokens": 51}, 2),
        ({"max_new_tokens": 51, "num_return_sequences": 2}, 1),
        ({"max_new_tokens": 26, "num_beams": 4}, 1),
        ({"max_new_tokens": 13, "num_beams": 4, "num_return_sequences": 2}, 2),
        ({"num_beams": 101}, 1),
    ):
        with pytest.raises(RequestTooLarge, match="new tokens are more than 100"):
            limits.check_options(options, inputs, DEFAULTS)


def test_the_length_of_a_text_to_read_is_no_work() -> None:
    Limits(max_generated=100).check_options({"max_length": 512}, 1000, {"top_k": 1})


def test_beams_that_are_not_stated_count_as_those_of_the_model() -> None:
    limits = Limits(max_generated=100)
    beams = {"num_beams": 4, "max_new_tokens": None}
    limits.check_options({"max_new_tokens": 25}, 1, beams)
    limits.check_options({"num_beams": 1}, 1000, {"max_new_tokens": 256})
    limits.check_options({"max_new_tokens": 60, "num_beams": 1}, 1, beams)
    with pytest.raises(RequestTooLarge) as caught:
        limits.check_options({"max_new_tokens": 26}, 3, beams)
    assert caught.value.message == (
        "parameters: 312 new tokens are more than 100 per request: 26 for each of 4 beams of each "
        "of 3 inputs."
    )
    with pytest.raises(RequestTooLarge, match="256 for each of 2 beams of each of 1 input"):
        limits.check_options({"num_beams": 2}, 50, {"max_new_tokens": 256})


def test_beams_are_counted_before_work_begins(tmp_path: Path, connect: Connect) -> None:
    host = PluginHost.discover(only={"summarization"})
    made = tiny_translator(tmp_path, config={"num_beams": 5})
    app = create_app(
        host, models={"shorten": made}, task="summarization", only=True, max_generated=100
    )
    client = connect(app)

    def status(**parameters: object) -> tuple[int, str]:
        body = {"inputs": "the cat", "parameters": parameters}
        answer = client.post("/models/shorten", json=body)
        return answer.status_code, answer.text

    assert status(max_new_tokens=20)[0] == 200
    code, text = status(max_new_tokens=21)
    assert (code, "21 for each of 5 beams of each of 1 input" in text) == (413, True)
    assert status(max_new_tokens=21, num_beams=1)[0] == 200
    assert status(max_new_tokens="20", num_beams="5")[0] == 200
    assert status(max_new_tokens="21")[0] == 413
    assert status(generate_parameters={"max_new_tokens": 60, "num_beams": 2})[0] == 413


def test_a_gzip_body_is_read(client: httpx.Client) -> None:
    body = gzip.compress(b'{"inputs": "good"}')
    assert client.post("/models/tone", content=body, headers=GZIP).json()[0][0]["score"] > 0.5


@pytest.mark.parametrize("encoding", ["gzip, identity", "GZip", "identity,x-gzip"])
def test_gzip_may_be_written_in_several_ways(client: httpx.Client, encoding: str) -> None:
    body = gzip.compress(b'{"inputs": "good"}')
    answer = client.post("/models/tone", content=body, headers={"Content-Encoding": encoding})
    assert answer.json()[0][0]["score"] > 0.5


def test_gzip_of_several_members_is_read_whole(client: httpx.Client) -> None:
    body = b"".join(gzip.compress(part) for part in (b'{"inputs"', b"", b': "good"}'))
    assert client.post("/models/tone", content=body, headers=GZIP).json()[0][0]["score"] > 0.5


def test_a_body_that_is_compressed_twice_is_refused(client: httpx.Client) -> None:
    twice = gzip.compress(gzip.compress(b'{"inputs": "good"}'))
    for headers in ([("Content-Encoding", "gzip")] * 2, {"Content-Encoding": "gzip, gzip"}):
        refused = client.post("/models/tone", content=twice, headers=headers)
        assert (refused.status_code, "'gzip, gzip'" in refused.json()["error"]) == (415, True)


def test_a_gzip_body_is_bounded_by_what_comes_out(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, max_body=1_000_000))
    bomb = gzip.compress(b" " * 200_000_000, 9)[:900_000]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = client.post("/models/tone", content=bomb, headers=GZIP)
    assert refused.status_code == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


@pytest.mark.parametrize(
    "body",
    [b'{"inputs": "good"}', b"", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"more"],
    ids=["plain", "empty", "cut off", "with more behind"],
)
def test_what_is_no_gzip_is_a_malformed_request(client: httpx.Client, body: bytes) -> None:
    refused = client.post("/models/tone", content=body, headers=GZIP)
    assert (refused.status_code, refused.json()["error_type"]) == (422, "validation")
    assert "gzip" in refused.json()["error"]


def test_another_compression_is_told_by_name(client: httpx.Client) -> None:
    refused = client.post("/models/tone", content=b"x", headers={"Content-Encoding": "br"})
    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "gzip")
    assert "'br'" in refused.json()["error"]


def test_the_latency_buckets_hold_every_answer_within_the_timeout(client: httpx.Client) -> None:
    client.post("/models/tone", json={"inputs": "good"})
    assert 'nlplug_request_seconds_bucket{le="60.0",model="tone"}' in client.get("/metrics").text

"""What a client must not be able to do, and what the server must not keep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from plugin_zoo import install
from server_kit import WAIT, running

from nlplug import Bundle, PluginHost
from nlplug.server import create_app

Connect = Callable[[FastAPI], httpx.Client]
BODY = {"inputs": "good"}


@pytest.fixture(scope="module")
def locked(host: PluginHost) -> Iterator[httpx.Client]:
    """A client of a server that asks for the key ``s3cret``."""
    with (
        running(create_app(host, api_key="s3cret")) as address,
        httpx.Client(base_url=address, timeout=WAIT) as client,
    ):
        yield client


def test_a_folder_that_was_not_named_at_start_is_never_opened(
    client: httpx.Client, bundle: Bundle
) -> None:
    for name in (str(bundle.path), f"/{bundle.path}", f"%2F{bundle.path}", "../tiny-classifier"):
        assert client.post(f"/models/{name}", json=BODY).status_code == 404


def test_a_hub_id_that_was_not_named_at_start_is_never_fetched(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    response = client.post("/models/onnx-community/some-model", json=BODY)
    assert response.status_code == 404
    assert "To serve others, name them when you start the server" in response.json()["hint"]


def test_only_what_is_named_is_served_when_told_so(
    host: PluginHost, bundle: Bundle, connect: Connect
) -> None:
    app = create_app(host, models={"mine": bundle}, task="tone", only=True)
    client = connect(app)
    assert client.post("/models/mine", json=BODY).status_code == 200
    assert client.post("/models/tone", json=BODY).status_code == 404
    assert client.post("/models/tone-tiny", json=BODY).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic s3cret"}, 401),
        ({"Authorization": "Bearer \xe9"}, 401),
        ({"Authorization": "Bearer s3cret"}, 200),
        ({"X-API-Key": "s3cret"}, 200),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models/tone"),
        ("POST", "/"),
        ("GET", "/models"),
        ("GET", "/tasks"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ],
)
def test_with_a_key_only_those_who_send_it_may_ask(
    locked: httpx.Client, headers: dict[str, str], status: int, method: str, path: str
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    response = locked.request(method, path, json=BODY, headers=raw)
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error_type"] == "unauthorized"


def test_probes_need_no_key(locked: httpx.Client) -> None:
    assert locked.get("/health").status_code == 200
    assert locked.get("/ready").status_code == 200


def test_the_key_is_taken_from_the_environment(
    host: PluginHost, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_API_KEY", "s3cret")
    assert connect(create_app(host)).post("/models/tone", json=BODY).status_code == 401


def test_the_routes_of_plugins_need_the_key_too(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from nlplug import hookimpl\n\n@hookimpl\ndef register_routes(app):\n"
        "    @app.get('/hello')\n    def hello():\n        return 'hello'\n"
    )
    kinds = {"greeter": "routes"}
    install(
        tmp_path, "greeter", {"greeter_p": source}, plugins={"greeter": "greeter_p"}, kinds=kinds
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    client = connect(create_app(PluginHost.discover(path=[str(tmp_path)]), api_key="s3cret"))
    assert client.get("/x/greeter/hello").status_code == 401
    assert client.get("/x/greeter/openapi.json").status_code == 401
    assert client.get("/x/greeter/hello", headers={"X-API-Key": "s3cret"}).json() == "hello"


def test_no_header_is_ever_logged(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "Bearer hf_of_somebody", "X-API-Key": "key_of_somebody"}
    for path in ("/models/tone", "/models/zoo-import", "/models/nothing"):
        client.post(path, json=BODY, headers=headers)
    assert "of_somebody" not in caplog.text
    assert "of_somebody" not in client.get("/metrics").text


def test_pages_of_other_origins_may_not_ask_by_default(client: httpx.Client) -> None:
    response = client.post("/models/tone", json=BODY, headers={"Origin": "http://elsewhere"})
    assert "access-control-allow-origin" not in response.headers


def test_an_origin_that_is_named_may_ask(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, cors=["http://page"]))
    allowed = client.post("/models/tone", json=BODY, headers={"Origin": "http://page"})
    other = client.post("/models/tone", json=BODY, headers={"Origin": "http://elsewhere"})
    assert allowed.headers["access-control-allow-origin"] == "http://page"
    assert "access-control-allow-origin" not in other.headers


def test_pages_of_a_named_origin_may_send_any_header_and_read_the_warnings(
    host: PluginHost, connect: Connect
) -> None:
    client = connect(create_app(host, cors=["http://page"]))
    asked = {"Access-Control-Request-Method": "POST", "Origin": "http://page"}
    before = client.options(
        "/models/tone", headers=asked | {"Access-Control-Request-Headers": "user-agent"}
    )
    assert "user-agent" in before.headers["access-control-allow-headers"]
    answer = client.post("/models/tone", json=BODY, headers={"Origin": "http://page"})
    readable = answer.headers["access-control-expose-headers"]
    assert {"X-Nlplug-Warnings", "X-Nlplug-Models", "Retry-After"} <= set(readable.split(", "))

"""Connections that say nothing, too many of them, and a model that hangs when the server ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from plugin_zoo import install
from server_kit import WAIT, Gate

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.server import create_app
from nlplug.server import running as server_running
from nlplug.server.events import EventStream
from nlplug.server.limits import Limits

HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "

HANGING = """
import os
from threading import Event
from pathlib import Path

from nlplug import ModelSpec, hookimpl
from nlplug.families.sequence_classification import (
    SequenceClassificationModel, SequenceClassificationTask,
)

class Model(SequenceClassificationModel):
    def decode(self, item, rows, outputs, options):
        Path(os.environ["ENTERED"]).write_text("x")
        Event().wait()

class Hanging(SequenceClassificationTask):
    name = "hanging"
    title = "Hanging"
    description = "Never comes back."
    default_model = "hanging-tiny"

    def bind(self, bundle):
        return Model(bundle)

@hookimpl
def register_tasks():
    return [Hanging()]

@hookimpl
def register_models():
    return [ModelSpec(name="hanging-tiny", task="hanging", path=Path(os.environ["MODEL"]))]
"""


@contextmanager
def served(host: PluginHost, limits: Limits, **models: Pipeline) -> Iterator[tuple[str, int]]:
    """The address of a server that keeps ``limits``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(host, models=models),
            http=server_running._protocol(limits.max_connections, limits.head_timeout),
            log_level="warning",
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[:2]
        finally:
            server.should_exit = True
            thread.join(WAIT)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closed it within the time that the socket waits."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_head_that_does_not_come_is_not_waited_for(empty_host: PluginHost) -> None:
    with served(empty_host, Limits(head_timeout=0.3)) as address, ExitStack() as stack:
        for start in (b"", HALF, b"G"):
            one = stack.enter_context(socket.create_connection(address, WAIT))
            one.sendall(start)
            assert is_closed(one)


def test_a_second_head_that_does_not_come_is_not_waited_for(empty_host: PluginHost) -> None:
    with (
        served(empty_host, Limits(head_timeout=0.3)) as address,
        socket.create_connection(address, WAIT) as one,
    ):
        one.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in one.recv(4096)
        one.sendall(HALF)
        started = monotonic()
        while one.recv(4096):
            pass
        assert monotonic() - started < 4  # uvicorn alone keeps it for ever


@pytest.mark.parametrize("name", ["127.0.0.1", "evil.example"])
def test_a_body_that_is_malformed_is_one_reply_and_no_failure(
    host: PluginHost, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST /models/tone HTTP/1.1\r\nHost: {name}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(host, Limits()) as address, socket.create_connection(address, WAIT) as one:
        one.sendall(f"{head}not a length\r\n".encode())
        reply = b""
        while part := one.recv(4096):
            reply += part
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.count(b"HTTP/1.1") == 1
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


def test_an_answer_may_take_longer_than_a_head(
    empty_host: PluginHost, gated: Pipeline, gate: Gate
) -> None:
    def open_late() -> None:
        assert gate.entered.wait(WAIT)
        gate.opened.wait(0.6)
        gate.opened.set()

    with served(empty_host, Limits(head_timeout=0.3), gated=gated) as (name, port):
        opening = Thread(target=open_late)
        opening.start()
        answer = httpx.post(
            f"http://{name}:{port}/models/gated", json={"inputs": "good"}, timeout=WAIT
        )
        opening.join()
    assert answer.elapsed.total_seconds() > 0.5
    assert answer.json()[0][0]["label"] == "positive"


def test_connections_beyond_the_limit_are_closed_at_once(empty_host: PluginHost) -> None:
    with served(empty_host, Limits(max_connections=3)) as address, ExitStack() as stack:
        first = [stack.enter_context(socket.create_connection(address, WAIT)) for _ in range(3)]
        first[0].sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in first[0].recv(4096)
        assert is_closed(stack.enter_context(socket.create_connection(address, WAIT)))
        first[1].close()
        again = Event()
        for _ in range(100):  # until the server has seen that one is gone
            one = stack.enter_context(socket.create_connection(address, WAIT))
            try:
                one.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if b"200 OK" in one.recv(4096):
                    again.set()
                    break
            except OSError:
                continue
        assert again.is_set()


@contextmanager
def command(
    *arguments: str, env: dict[str, str], files: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running ``nlplug serve`` and its address."""
    python = [sys.executable, "-m", "nlplug", "serve", "--port", "0", *arguments]
    shell = ["bash", "-c", f'ulimit -n {files}; exec "$@"', "bash"] if files else []
    process = subprocess.Popen(
        [*shell, *python],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | env,
    )
    try:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))
        if found is None:
            pytest.fail("".join(lines))
        yield process, found.group()
    finally:
        process.kill()
        process.communicate()


def test_too_few_files_for_the_connections_do_not_flood_the_log(zoo: Path) -> None:
    env = {"PYTHONPATH": f"{zoo}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with command("tone", env=env, files=60) as (process, address), ExitStack() as stack:
        port = int(address.rsplit(":", 1)[1])
        for _ in range(300):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        stack.pop_all().close()
        for _ in range(50):
            try:
                if httpx.get(f"{address}/health", timeout=WAIT).status_code == 200:
                    break
            except httpx.TransportError:
                continue
        else:
            pytest.fail("it does not answer any more")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=WAIT)
        assert len(log.splitlines()) < 20


def test_a_model_that_hangs_does_not_keep_the_server_from_ending(
    tmp_path: Path, bundle: Bundle, zoo: Path
) -> None:
    site = tmp_path / "site"
    install(site, "nlplug-hanging", {"hanging_p": HANGING}, plugins={"hanging": "hanging_p"})
    entered = tmp_path / "entered"
    os.mkfifo(entered)
    env = {
        "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "ENTERED": str(entered),
        "MODEL": str(bundle.path),
    }
    with command("hanging", "--timeout", "1", env=env) as (process, address):
        body = {"inputs": "good"}
        asking = Thread(target=lambda: httpx.post(address, json=body, timeout=WAIT))
        asking.start()
        assert entered.read_text() == "x"
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=WAIT)
        assert "Models that did not end in time: hanging-tiny" in log
        asking.join(WAIT)


@pytest.mark.parametrize("head", ["Content-Length: 50", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_the_fault_of_the_client(
    host: PluginHost, connect: Callable[[FastAPI], httpx.Client], head: str
) -> None:
    address = connect(create_app(host, timeout=0.3)).base_url
    with socket.create_connection((address.host, address.port), WAIT) as one:
        one.sendall(f"POST /models/tone HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        one.sendall(b'3\r\n{"i\r\n' if "chunked" in head else b'{"i')
        reply = one.recv(4096).decode()
        reply += one.recv(4096).decode() if reply.endswith("\r\n\r\n") else ""
    assert reply.startswith("HTTP/1.1 408 ")
    assert "did not arrive within 0.3 seconds: 3" in reply


def test_a_stream_that_is_cut_off_at_the_end_of_the_server_says_so() -> None:
    sent: list[Any] = []

    async def run() -> None:
        async def events() -> AsyncIterator[bytes]:
            yield b"data:1\n\n"
            await asyncio.Event().wait()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        answer = EventStream(events())({"type": "http"}, receive, send)
        serving = asyncio.create_task(answer)
        while len(sent) < 2:
            await asyncio.sleep(0)
        serving.cancel()  # as uvicorn does after its time to end
        await serving

    asyncio.run(run())
    *_, last, end = sent
    assert json.loads(last["body"].removeprefix(b"data:"))["error_type"] == "overloaded"
    assert end == {"type": "http.response.body", "body": b"", "more_body": False}

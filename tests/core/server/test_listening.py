"""A server has its address before it loads anything, or says why not."""

from __future__ import annotations

import asyncio
import socket

import pytest
from server_kit import WAIT

from nlplug.errors import ServerError
from nlplug.server.listening import is_loopback, listen, url_of


def test_a_free_port_is_found() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


def test_all_addresses_are_told_as_the_one_that_this_machine_can_open() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(ServerError, match=r"Cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_a_port_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ServerError, match="no port 70000"):
        listen("127.0.0.1", 70_000)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)],
)
def test_loopback_is_told_from_the_network(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_replies_are_sent_without_delay() -> None:
    """Without TCP_NODELAY, a reply waits for the acknowledgment of the packet before it."""

    async def check() -> int:
        options: asyncio.Queue[int] = asyncio.Queue()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            options.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await asyncio.wait_for(options.get(), WAIT)

    assert asyncio.run(check()) == 1

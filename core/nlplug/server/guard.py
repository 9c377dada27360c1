"""The guard of the whole application: host names, keys and the size of uploads.

It wraps all routes, mounted pages and routes of plugins, so that none is unprotected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlplug.errors import NlplugError, OptionError, RequestTooLarge, Unauthorized, UnknownHost
from nlplug.server import login
from nlplug.server.containment import AWAITING, contained
from nlplug.server.http import error_reply
from nlplug.server.listening import is_loopback

if TYPE_CHECKING:
    from nlplug.server.keys import Keys

_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_ORIGIN = re.compile(r"\A(?:\*|null|[a-z][a-z0-9+.-]*://[^/\s?#@A-Z]+)")
OPEN_PATHS = frozenset({"/health", "/ready"})
"""Paths without a key: the health probes, which only reveal the names of failed plugins."""


def check_names(hosts: Collection[str], origins: Collection[str]) -> None:
    """Check host names and origins that a server is given.

    Raises:
        OptionError: One of them is none, so that no request could have it.
    """
    for host in hosts:
        if not (_HOST.fullmatch(host) or _is_address(host)):
            raise OptionError(
                f"The allowed host {host!r} is not a host name.",
                hint="Give it without scheme, port and path, such as nlp.example.org or "
                "*.example.org; a name with other letters as xn--….",
            )
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise OptionError(
                f"{origin!r} is not an origin.",
                hint="Give scheme, host and port without a path, such as https://example.org, "
                "or *.",
            )


class Guard:
    """ASGI middleware that refuses requests that must not reach the application.

    Args:
        app: The application.
        keys: The API keys; empty: no key is needed.
        hosts: Host names of the server, such as ``nlp.example.org``, ``*.example.org`` or ``*``.
            IP addresses and ``localhost`` are always accepted, because no other site can use them
            as its name. If empty, other names are accepted unless the connection uses a loopback
            address.
        max_upload: Largest body of a request, in bytes.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Keys, hosts: Collection[str] = (), max_upload: int
    ) -> None:
        self._app = app
        self._keys = keys
        self._hosts = [host.lower() for host in hosts]
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            self._check_host(connection)
            if self._keys and path == login.PATH and scope["type"] == "http":
                await (await login.answer(Request(scope, receive), self._keys))(
                    scope, receive, send
                )
                return
            if path not in OPEN_PATHS:
                self._keys.check(connection)
            if scope["type"] == "http":
                receive = self._bounded(connection, receive)
        except NlplugError as error:
            await _refuse(connection, error, receive, send)
            return
        with contained(*AWAITING):
            await self._app(scope, receive, send)

    def _check_host(self, connection: HTTPConnection) -> None:
        """Refuse an unknown host name, which another site may point to this server.

        Raises:
            UnknownHost: The name is unknown.
        """
        name = _name(connection.headers.get("host", ""))
        if name == "localhost" or not name or _is_address(name):
            return
        for host in self._hosts:
            if host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:])):
                return
        server = connection.scope.get("server")
        if self._hosts or (server and is_loopback(server[0])):
            raise UnknownHost(
                f"This server is not known as {name!r}.",
                hint=f"If this is a name of the server, start it with --allowed-host {name}.",
            )

    def _bounded(self, connection: HTTPConnection, receive: Receive) -> Receive:
        """Limit the size of the received body.

        Raises:
            RequestTooLarge: The Content-Length is too large.
        """
        declared = connection.headers.get("content-length", "")
        left = self._max_upload
        if declared.isdigit() and int(declared) > left:
            raise self._too_large()

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(
            f"The body is larger than {self._max_upload} bytes.", hint="Send a smaller body."
        )


async def _refuse(
    connection: HTTPConnection, error: NlplugError, receive: Receive, send: Send
) -> None:
    scope = connection.scope
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    elif isinstance(error, Unauthorized) and login.wants_page(connection):
        await login.to_login(connection)(scope, receive, send)
    else:
        await error_reply(error)(scope, receive, send)


def _name(host: str) -> str:
    """The name in a Host header, without the port; ``[::1]:80`` gives ``::1``."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

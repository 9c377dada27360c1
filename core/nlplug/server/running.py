"""Runs an application on a socket, with limits for connections, headers and shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from nlplug.server.limits import Limits

_log = logging.getLogger("nlplug.server")
_SPARE_FILES = 16
_BACKLOG = 128
_QUIET_SECONDS = 60.0


def run(
    app: Any,
    listener: socket.socket,
    *,
    limits: Limits | None = None,
    graceful: float,
    access_log: bool = False,
    started: Callable[[], object] | None = None,
) -> None:
    """Serve until a signal; the process ends even if a model does not return.

    Args:
        app: The application, with a `nlplug.server.serving.Serving` at ``app.state.nlplug``.
        listener: A listening socket.
        limits: The limits of a client.
        graceful: Time to finish requests after the signal, in seconds.
        access_log: Print one line per request.
        started: Called when the server is ready.
    """
    limits = limits or Limits()
    connections = min(limits.max_connections, _room_for_files())
    config = uvicorn.Config(
        app,
        http=_protocol(connections, limits.head_timeout),
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=int(graceful) + 1,
        # Number of connections accepted in one step of the event loop, before any can be refused.
        backlog=max(1, min(_BACKLOG, connections // 2)),
    )
    try:
        _Server(config, started).run(sockets=[listener])
    finally:
        if app.state.nlplug.stuck:
            sys.stderr.flush()
            os._exit(1)  # Python would wait for their threads without a limit


class _Server(uvicorn.Server):
    """Reports when it is ready, and at most once per minute that files run out.

    SIGHUP, which comes when a terminal is closed, ends it as SIGTERM does, unless it is ignored
    (``nohup``).
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], object] | None) -> None:
        super().__init__(config)
        self._when_ready = started
        self._quiet_until = 0.0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Those of uvicorn, and SIGHUP."""
        number = getattr(signal, "SIGHUP", None)
        before = number and signal.getsignal(number)
        main = threading.current_thread() is threading.main_thread()
        if number is None or before is signal.SIG_IGN or not main:
            with super().capture_signals():
                yield
            return
        signal.signal(number, lambda _, frame: self.handle_exit(signal.SIGTERM, frame))
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(number, before)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._report)
        await super().startup(sockets)
        if self._when_ready is not None and self.started:
            self._when_ready()

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "socket.accept()" not in context["message"]:
            loop.default_exception_handler(context)
        elif monotonic() > self._quiet_until:
            self._quiet_until = monotonic() + _QUIET_SECONDS
            _log.error("No connection can be accepted: %s", context.get("exception"))


def _room_for_files() -> int:
    """Number of connections that this process may open in addition to its open files."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(list(Path("/proc/self/fd").iterdir()))
    except (ImportError, OSError):  # no such limit, or no such folder, on this system
        return sys.maxsize
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(2, limit - used - _SPARE_FILES)


def _protocol(most: int, head_timeout: float) -> type[asyncio.Protocol]:
    """The protocol of uvicorn with a limit of connections, and of time to send the headers."""

    class Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # chosen at run time
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                transport.abort()
                return
            self._begin_head()

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            busy = before is not None and not before.response_complete
            upgraded = self.transport.get_protocol() is not self
            if self.cycle is not before or busy or upgraded:
                self._end_head()
            elif self._timer is None:
                self._begin_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_head()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            super().send_400_response(msg)
            if self.cycle is not None:  # its own reply cannot be sent any more
                self.cycle.disconnected = True
                self.cycle.message_event.set()

        def _begin_head(self) -> None:
            self._timer = self.loop.call_later(head_timeout, self.transport.close)

        def _end_head(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Bounded

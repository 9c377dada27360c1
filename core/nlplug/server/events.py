"""Server-sent events: a response that sends events one by one and notices a disconnect.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from nlplug.server.batching import shutting_down
from nlplug.server.http import CLIENT_GONE, unless_gone

# Some clients split lines at these characters too.
_BREAKS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}


def event(value: Any) -> bytes:
    """One event with a JSON value."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"data:{text.translate(_BREAKS)}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """Sends each event immediately.

    Args:
        events: The events.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._on_end: list[Callable[[int], None]] = []

    def on_end(self, call: Callable[[int], None]) -> None:
        """Register a callback for the final status, however the response ends."""
        self._on_end.append(call)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status = CLIENT_GONE
        try:
            await unless_gone(self._send(send), receive)
            status = self.status_code
        except (ClientDisconnect, OSError):
            pass  # the client has gone
        except asyncio.CancelledError:  # the time is over in which the server ends
            with suppress(OSError, RuntimeError):
                await send(_body(event(shutting_down().to_dict()), more=True))
                await send(_body(b"", more=False))
        finally:
            for call in self._on_end:
                call(status)

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for chunk in self._events:
            await send(_body(chunk, more=True))
            await asyncio.sleep(0)  # nothing else here awaits; let other tasks run
        await send(_body(b"", more=False))


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}

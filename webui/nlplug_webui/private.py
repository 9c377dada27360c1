"""Keeps pages from loading anything from other hosts.

The page template of Gradio contains tags that point to other hosts (which ones depends on its
version). They are removed, and a Content-Security-Policy makes the browser block what the page of a
plugin may still request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio compiles templates and sets styles at run time.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)

_MARK = b"gradio_config"
_FOREIGN = re.compile(
    rb"<script\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>\s*</script>"
    rb"|<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>"
    rb"|<meta\b[^>]*\b(?:property|name)=[\"'](?:og|twitter):[^>]*>",
    re.IGNORECASE,
)


def scrub(html: bytes) -> bytes:
    """Remove the tags of a page that point to another host."""
    return _FOREIGN.sub(b"", html)


class PrivatePages:
    """ASGI middleware that does this for the pages of Gradio and passes all other responses on.

    It also adds the project's own tags at the start of their heads.

    Args:
        app: The wrapped app.
        head: HTML of these tags.
    """

    def __init__(self, app: App, head: str = "") -> None:
        self._app = app
        self._head = head.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope.get("method") not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        body = bytearray()

        async def answer(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                if _is_page(message):
                    held = message
                    return
            elif held is not None and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    start, page = _private(held, bytes(body), self._head)
                    await send(start)
                    await send({"type": "http.response.body", "body": page})
                return
            await send(message)

        # A compressed page cannot be changed here.
        headers = [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]
        wanted = dict(scope, headers=headers) if _wants_page(scope) else scope
        await self._app(wanted, receive, answer)


def _wants_page(scope: Message) -> bool:
    return any(k == b"accept" and b"text/html" in v for k, v in scope["headers"])


def _is_page(start: Message) -> bool:
    headers = dict(start["headers"])
    return (
        headers.get(b"content-type", b"").startswith(b"text/html")
        and b"content-encoding" not in headers
    )


def _private(start: Message, body: bytes, head: bytes) -> tuple[Message, bytes]:
    if _MARK not in body:
        return start, body
    body = scrub(body).replace(b"<head>", b"<head>" + head, 1)
    kept = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
    added = [
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return dict(start, headers=[*kept, *added]), body

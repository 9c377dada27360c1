"""Keeps pages from loading anything from other hosts.

The page template of Gradio contains tags that point to other hosts (which ones depends on its
version). They are removed, and a Content-Security-Policy makes the browser block what the page of a
plugin may still request.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nlplug_webui.workshop.scripts import accepts_gzip

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
    rb"|<meta\b[^>]*\b(?:property|name)=[\"'](?:og|twitter):[^>]*>"
    # Newer Gradio: with it, an address such as #/data is one of the first page, not of this one.
    rb"|<base href=\"\./\"\s*/?>",
    re.IGNORECASE,
)


def scrub(html: bytes) -> bytes:
    """Remove the tags of a page that point to another host, or lead away from the page."""
    return _FOREIGN.sub(b"", html)


class PrivatePages:
    """ASGI middleware that does this for the pages of Gradio and passes all other responses on.

    It also adds the project's own tags to their heads, and compresses them, which Gradio does not.

    Args:
        app: The wrapped app.
        head: HTML of the tags at the start of a head.
        tail: Makes those at its end from the HTML of the page.
    """

    def __init__(
        self, app: App, head: str = "", tail: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._app = app
        self._head = head.encode()
        self._tail = tail or (lambda _: b"")

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
                    start, page = self._private(held, bytes(body), packs)
                    await send(start)
                    await send({"type": "http.response.body", "body": page})
                return
            await send(message)

        # A compressed page cannot be changed here.
        headers = [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]
        accepted = b",".join(v for k, v in scope["headers"] if k == b"accept-encoding")
        packs = accepts_gzip(accepted.decode("latin-1"))
        wanted = dict(scope, headers=headers) if _wants_page(scope) else scope
        await self._app(wanted, receive, answer)

    def _private(self, start: Message, body: bytes, packs: bool) -> tuple[Message, bytes]:
        if _MARK not in body:
            return start, body
        tail = self._tail(body) + b"</head>"
        body = scrub(body).replace(b"<head>", b"<head>" + self._head, 1)
        body = body.replace(b"</head>", tail, 1)
        added = [
            (b"content-security-policy", POLICY.encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"vary", b"accept-encoding"),
        ]
        if packs:
            body = gzip.compress(body, 5, mtime=0)
            added.append((b"content-encoding", b"gzip"))
        added.append((b"content-length", str(len(body)).encode()))
        kept = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
        return dict(start, headers=[*kept, *added]), body


def _wants_page(scope: Message) -> bool:
    return any(k == b"accept" and b"text/html" in v for k, v in scope["headers"])


def _is_page(start: Message) -> bool:
    headers = dict(start["headers"])
    return (
        headers.get(b"content-type", b"").startswith(b"text/html")
        and b"content-encoding" not in headers
    )

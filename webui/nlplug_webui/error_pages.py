"""What browsers see at an address that has nothing to show; programs get the JSON of the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlplug.server.plain_page import HEADERS, plain_page
from nlplug_webui.error_texts import KINDS
from nlplug_webui.texts import language_of, say

# How Gradio answers an address that it does not know.
_GRADIO = b'{"detail":"Not Found"}'
# What an error says in its headers, besides its content.
_TOLD = ("allow", "retry-after", "www-authenticate")


class ErrorPages:
    """ASGI middleware that answers browsers with a page where the app answers an error as JSON.

    Programs get the JSON of the app, and that of Gradio in the form of the server's errors.

    Args:
        app: The wrapped app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] != "GET" or not _by_browser(scope):
            await self._app(scope, receive, _in_our_form(scope, receive, send))
            return
        error: Message | None = None
        body = bytearray()

        async def answer(message: Message) -> None:
            nonlocal error
            if message["type"] == "http.response.start" and _is_error(message):
                error = message
            elif error is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _page(scope, error, bytes(body))(scope, receive, send)

        await self._app(scope, receive, answer)


def _is_error(start: Message) -> bool:
    status = start["status"]
    if status < HTTPStatus.BAD_REQUEST:
        return False
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return status == HTTPStatus.NOT_FOUND or kind.startswith("application/json")


def _in_our_form(scope: Scope, receive: Receive, send: Send) -> Send:
    """Pass on all messages but Gradio's 404, which becomes an error in the form of the server."""
    held: list[Message] = []

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 404:
            held.append(message)
        elif held and message.get("body") == _GRADIO:
            held.clear()
            await _error(scope)(scope, receive, send)
        else:
            for first in [*held, message]:
                await send(first)
            held.clear()

    return answer


def _error(scope: Scope) -> JSONResponse:
    body = {
        "error": f"There is no {scope['method']} {scope['path']} here.",
        "error_type": "not_found",
        "hint": "GET /models lists the served models; POST /models/{name} runs one.",
    }
    return JSONResponse(body, status_code=404)


def _by_browser(scope: Scope) -> bool:
    return "text/html" in HTTPConnection(scope).headers.get("accept", "")


def _page(scope: Scope, start: Message, body: bytes) -> HTMLResponse:
    language = language_of(HTTPConnection(scope))
    status, given = start["status"], Headers(raw=start["headers"])
    headers = HEADERS | {name: given[name] for name in _TOLD if name in given}
    title = say("missing_title" if status == HTTPStatus.NOT_FOUND else "error_other", language)
    if status == HTTPStatus.NOT_FOUND:
        told = f"<p>{escape(say('missing', language, address=scope['path']))}</p>"
    else:
        told = _told(_values(body), language)
    home = escape(f"{scope.get('root_path', '')}/")
    link = f'<p><a href="{home}">{escape(say("missing_home", language))}</a></p>'
    return HTMLResponse(plain_page(title, told + link, language), status, headers)


def _values(body: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _told(values: Mapping[str, Any], language: str) -> str:
    """The message and the hint of an error; in Chinese, what its kind means comes first."""
    message, hint = (str(values.get(key) or "") for key in ("error", "hint"))
    kind = KINDS.get(str(values.get("error_type")))
    if language != "zh" or kind is None:
        return "".join(f"<p>{escape(part)}</p>" for part in (message, hint) if part)
    original = f'<small lang="en">{escape(f"{message} {hint}".strip())}</small>'
    return f"<p>{escape(kind[0])}</p><p>{escape(kind[1])}</p>{original}"

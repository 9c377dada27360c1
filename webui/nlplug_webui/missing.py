"""The page for an address at which there is nothing; programs get the JSON of the server."""

from __future__ import annotations

from html import escape

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlplug_webui.texts import language_of, say

_STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-content:center;text-align:center;"
    "font:1rem/1.6 system-ui,sans-serif;color:#1d2327;background:#f6f6f3;padding:0 24px}"
    "a{color:#0d766c;font-weight:600}p{overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#e6eaec;background:#101418}a{color:#4cc2b3}}"
)


# How Gradio answers an address that it does not know.
_GRADIO = b'{"detail":"Not Found"}'


class MissingPages:
    """ASGI middleware that answers browsers with a page where the app answers 404.

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
        missing = False

        async def answer(message: Message) -> None:
            nonlocal missing
            if message["type"] == "http.response.start" and message["status"] == 404:
                missing = True
                await _page(scope)(scope, receive, send)
            elif not missing:
                await send(message)

        await self._app(scope, receive, answer)


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


def _page(scope: Scope) -> HTMLResponse:
    language = language_of(HTTPConnection(scope))
    title = escape(say("missing_title", language))
    message = escape(say("missing", language, address=scope["path"]))
    home = escape(f"{scope.get('root_path', '')}/")
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · nlplug</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{title}</h1><p>{message}</p>"
        f'<p><a href="{home}">{escape(say("missing_home", language))}</a></p></main></body></html>',
        status_code=404,
        headers={
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )

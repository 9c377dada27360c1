"""Lets browsers keep the files whose address changes with their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug_webui.look_and_feel import STATIC_PATH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER = (b"cache-control", b"public, max-age=31536000, immutable")


class LastingFiles:
    """ASGI middleware that adds ``Cache-Control`` to such files: Gradio sends its own without.

    Args:
        app: The wrapped app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _lasting(scope):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                message["headers"] = [*message["headers"], _HEADER]
            await send(message)

        await self._app(scope, receive, answer)


def _lasting(scope: Scope) -> bool:
    """Names under ``/assets/`` have a hash; our own files have one in the query."""
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    versioned = path.startswith(f"/{STATIC_PATH}/") and bool(scope["query_string"])
    return path.startswith("/assets/") or versioned

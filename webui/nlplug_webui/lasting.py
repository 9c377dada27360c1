"""Lets browsers keep the files whose address changes with their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """The names under ``/assets/`` have a hash."""
    return str(scope["path"]).removeprefix(scope.get("root_path", "")).startswith("/assets/")

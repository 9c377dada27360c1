"""Routes that plugins add, each plugin's in an app of its own under ``/x/<plugin>/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from nlplug.errors import Unauthorized
from nlplug.server.http import error_reply, install_error_handlers

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost


class _Guarded:
    """An app that only those with the key reach."""

    def __init__(self, app: ASGIApp, check: Callable[[Any], None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                self._check(HTTPConnection(scope))
            except Unauthorized as error:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 1008})
                else:
                    await error_reply(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def mount_plugin_routes(app: FastAPI, host: PluginHost, check: Callable[[Any], None]) -> None:
    """Let each loaded plugin add its routes; the host leaves out whole one whose hook raises.

    Args:
        app: Where ``/x/<plugin>/`` is mounted.
        host: The plugins.
        check: Raises `Unauthorized` for a connection that may not reach the routes.
    """
    seen = set()
    for record in host.records():
        # One module may stand behind several entry points.
        if record.state != "loaded" or (record.dist, record.module) in seen:
            continue
        seen.add((record.dist, record.module))
        routes = FastAPI(title=f"nlplug: {record.name}", docs_url=None, redoc_url=None)
        install_error_handlers(routes)
        for name, _ in host.call("register_routes", plugin=record.name, app=routes):
            app.mount(f"/x/{name}", _Guarded(routes, check), name=f"x-{name}")

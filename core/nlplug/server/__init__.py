"""Serves tasks over HTTP, with endpoints built from their declarations (extra ``server``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlplug.extras import require

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app"]


def create_app(*args: Any, **kwargs: Any) -> FastAPI:
    """Create the application; see `nlplug.server.app.create_app`.

    Raises:
        MissingExtra: FastAPI is not installed.
    """
    require("fastapi", "server", purpose="The HTTP server")
    require("prometheus_client", "server", purpose="The HTTP server")
    from nlplug.server.app import create_app as create

    return create(*args, **kwargs)

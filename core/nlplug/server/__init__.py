"""Every task as an HTTP endpoint, built from its declaration (extra ``server``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlplug.extras import require

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["create_app"]


def create_app(*args: Any, **kwargs: Any) -> FastAPI:
    """The application; arguments and errors as ``nlplug.server.app.create_app``.

    Raises:
        MissingExtra: FastAPI is not installed.
    """
    require("fastapi", "server", purpose="The HTTP server")
    require("prometheus_client", "server", purpose="The HTTP server")
    from nlplug.server.app import create_app as create

    return create(*args, **kwargs)

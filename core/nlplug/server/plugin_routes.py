"""Routes of plugins, in a separate app per plugin under ``/x/<plugin>/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from nlplug.server.http import install_error_handlers

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost


def mount_plugin_routes(app: FastAPI, host: PluginHost) -> None:
    """Let each loaded plugin add its routes; the host unloads a plugin whose hook raises.

    Args:
        app: The app in which ``/x/<plugin>/`` is mounted.
        host: The plugins.
    """
    seen = set()
    for record in host.records():
        # Several entry points may have the same module.
        if record.state != "loaded" or (record.dist, record.module) in seen:
            continue
        seen.add((record.dist, record.module))
        routes = FastAPI(title=f"nlplug: {record.name}", docs_url=None, redoc_url=None)
        install_error_handlers(routes)
        for name, _ in host.call("register_routes", plugin=record.name, app=routes):
            app.mount(f"/x/{name}", routes, name=f"x-{name}")

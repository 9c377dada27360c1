"""Serves the web UI and the HTTP API on one port."""

from __future__ import annotations

import warnings
import webbrowser
from collections.abc import Collection
from functools import partial
from typing import Any

from nlplug.plugins import SERVER_PLUGIN_TIMEOUT, PluginHost
from nlplug.server.listening import is_loopback, listen, url_of


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    tasks: Collection[str] = (),
    open_browser: bool = False,
    any_model: bool | None = None,
    allowed_hosts: Collection[str] = (),
) -> None:
    """Serve until interrupted.

    Args:
        host: Address to listen on.
        port: Port; 0: any free port.
        tasks: The tasks to serve; empty: all.
        open_browser: Open the page in the browser when the server is ready.
        any_model: Whether visitors may name folders and Hub ids; None: only if the server listens
            on a loopback address.
        allowed_hosts: Names of this server; see `nlplug.server.app.create_app`.

    Raises:
        ServerError: The port is in use, or the address does not belong to this machine.
        UnknownTask: One of ``tasks`` is not installed.
    """
    from nlplug.server.running import run

    listening = listen(host, port)
    try:
        app = make_app(
            tasks=tasks,
            any_model=is_loopback(host) if any_model is None else any_model,
            allowed_hosts=allowed_hosts,
        )
        url = f"{url_of(listening)}/"
        print(f"nlplug is at {url} (stop with Ctrl+C)", flush=True)
        run(
            app,
            listening,
            limits=app.state.nlplug.limits,
            graceful=1,
            started=partial(webbrowser.open, url) if open_browser else None,
        )
    finally:
        listening.close()


def make_app(
    *,
    tasks: Collection[str] = (),
    any_model: bool = True,
    allowed_hosts: Collection[str] = (),
) -> Any:
    """The FastAPI app with API and UI.

    Raises:
        UnknownTask: One of ``tasks`` is not installed.
        PluginError: The plugin of one of ``tasks`` is broken.
    """
    # The routes of the API must be added before Gradio's catch-all route at "/".
    from nlplug.server.app import create_app
    from nlplug.server.pool import ModelPool
    from nlplug_webui.app import mount

    # Users cannot act on Gradio's warnings about its own dependencies.
    warnings.filterwarnings("ignore", module=r"gradio\b")
    plugins = PluginHost.discover(only=set(tasks) or None, timeout=SERVER_PLUGIN_TIMEOUT)
    for name in tasks:
        plugins.task(name)
    pool = ModelPool(plugins, only_packaged=not any_model)
    app = create_app(plugins, pool=pool, allowed_hosts=allowed_hosts)
    mount(app, plugins, pool)
    return app

"""Serving the web UI and the HTTP API on one port."""

from __future__ import annotations

import socket
import threading
import warnings
import webbrowser
from collections.abc import Collection
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
) -> None:
    """Serve until interrupted.

    Args:
        host: Address to listen on.
        port: Port; 0 for any free one.
        tasks: Only these tasks; empty for all.
        open_browser: Open the page once the server answers.
        any_model: Whether visitors may name folders and Hub ids; None: only where nobody but this
            machine can reach the server.

    Raises:
        ServerError: The port is taken or the address is not this machine's.
        UnknownTask: One of ``tasks`` is not installed.
    """
    listening = listen(host, port)
    try:
        app = make_app(tasks=tasks, any_model=is_loopback(host) if any_model is None else any_model)
        url = f"{url_of(listening)}/"
        print(f"nlplug is at {url} (stop with Ctrl+C)", flush=True)
        _run(app, listening, url if open_browser else None)
    finally:
        listening.close()


def make_app(*, tasks: Collection[str] = (), any_model: bool = True) -> Any:
    """The FastAPI app with API and UI.

    Raises:
        UnknownTask: One of ``tasks`` is not installed.
        PluginError: The plugin of one of ``tasks`` is broken.
    """
    # The API needs its names before Gradio's catch-all at "/".
    from nlplug.server.app import create_app
    from nlplug_webui.app import mount
    from nlplug_webui.models import ModelPool

    # Gradio's own remarks on its libraries are nothing that whoever runs this can act on.
    warnings.filterwarnings("ignore", module=r"gradio\b")
    plugins = PluginHost.discover(only=set(tasks) or None, timeout=SERVER_PLUGIN_TIMEOUT)
    for name in tasks:
        plugins.task(name)
    pool = ModelPool(plugins, only_packaged=not any_model)
    app = create_app(plugins, opener=pool.opened)
    mount(app, plugins, pool)
    return app


def _run(app: Any, listening: socket.socket, url: str | None) -> None:
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    if url is not None:
        _open_when_up(server, url)
    server.run(sockets=[listening])


def _open_when_up(server: Any, url: str) -> None:
    def wait() -> None:
        pause = threading.Event()
        while not server.started and not server.should_exit:
            pause.wait(0.1)
        if server.started:
            webbrowser.open(url)

    threading.Thread(target=wait, daemon=True, name="nlplug-open").start()

"""Serving the web UI and the HTTP API on one port."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
import warnings
import webbrowser
from collections.abc import Collection
from typing import Any

from nlplug.errors import NlplugError, OptionError
from nlplug.plugins import PluginHost


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
        NlplugError: The port is taken or the address is not this machine's.
        UnknownTask: One of ``tasks`` is not installed.
    """
    listening = listen(host, port)
    try:
        app = make_app(tasks=tasks, any_model=is_loopback(host) if any_model is None else any_model)
        url = address(host, listening.getsockname()[1])
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

    # Gradio's own remarks on its libraries are nothing that whoever runs this can act on.
    warnings.filterwarnings("ignore", module=r"gradio\b")
    plugins = PluginHost.discover(only=set(tasks) or None)
    for name in tasks:
        plugins.task(name)
    app = create_app(plugins)
    mount(app, plugins, only_packaged=not any_model)
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound already, so that a taken port is told before anything is loaded.

    Raises:
        OptionError: The port is taken, needs rights, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise _explained(error, host, port) from None
    except OverflowError:
        listening.close()
        raise OptionError(f"There is no port {port}.", hint="Use one from 0 to 65535.") from None
    return listening


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int) -> str:
    """The URL to open for an address that is listened on."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def _explained(error: OSError, host: str, port: int) -> NlplugError:
    if error.errno == errno.EADDRINUSE:
        return OptionError(
            f"Port {port} of {host} is taken by another program.",
            hint=f"Stop that program, or pick another port: --port {port + 1}",
        )
    if error.errno == errno.EACCES:
        return OptionError(
            f"Port {port} needs more rights than this process has.",
            hint="Pick a port from 1024 up, such as --port 7860.",
        )
    return OptionError(
        f"Cannot listen on {host}, port {port} ({error.strerror or error}).",
        hint="Use 127.0.0.1 for this machine alone, 0.0.0.0 for the whole network.",
    )


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

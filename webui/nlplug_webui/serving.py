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
    workspace: str | None = None,
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
        workspace: Folder of the workspace; None: the pages of a workspace are off.

    Raises:
        ServerError: The port is in use, or the address does not belong to this machine; or others
            could change the workspace without a key.
        OptionError: ``workspace`` is another folder.
        UnknownTask: One of ``tasks`` is not installed.
    """
    from nlplug.server.running import run

    listening = listen(host, port)
    try:
        app = make_app(
            tasks=tasks,
            any_model=is_loopback(host) if any_model is None else any_model,
            allowed_hosts=allowed_hosts,
            workspace=workspace,
            open_to_all=not is_loopback(host),
        )
        url = f"{url_of(listening)}/"
        print(f"nlplug is at {url} (stop with Ctrl-C)", flush=True)
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
    workspace: str | None = None,
    open_to_all: bool = False,
) -> Any:
    """The FastAPI app with API and UI.

    Args:
        tasks: See `serve`.
        any_model: See `serve`.
        allowed_hosts: See `serve`.
        workspace: See `serve`.
        open_to_all: Whether other machines reach the server, so that a workspace needs API keys.

    Raises:
        ServerError: See `serve`.
        OptionError: See `serve`.
        UnknownTask: One of ``tasks`` is not installed.
        PluginError: The plugin of one of ``tasks`` is broken.
    """
    # The routes of the API must be added before Gradio's catch-all route at "/".
    from nlplug.errors import ServerError
    from nlplug.server.app import create_app
    from nlplug.server.pool import ModelPool
    from nlplug.workspace import WorkspaceFolder, trained_models
    from nlplug_webui.app import mount

    # Users cannot act on Gradio's warnings about its own dependencies.
    warnings.filterwarnings("ignore", module=r"gradio\b")
    plugins = PluginHost.discover(only=set(tasks) or None, timeout=SERVER_PLUGIN_TIMEOUT)
    for name in tasks:
        plugins.task(name)
    opened: WorkspaceFolder | None = None

    def folders(task: str) -> list[str]:
        return [] if opened is None else trained_models(opened, task)

    pool = ModelPool(plugins, only_packaged=not any_model, folders=folders)
    app = create_app(plugins, pool=pool, allowed_hosts=allowed_hosts)
    if workspace and open_to_all and not app.state.nlplug.protected:
        raise ServerError(
            "A workspace on an address that others can reach needs a login.",
            hint="Set NLPLUG_API_KEY, or listen on 127.0.0.1.",
        )
    opened = WorkspaceFolder.open(workspace, create=True) if workspace else None
    mount(
        app,
        plugins,
        pool,
        opened,
        loopback=not open_to_all,
        protected=app.state.nlplug.protected,
    )
    return app

"""The plugin: the command ``nlplug webui``. Gradio is imported when the command runs."""

from __future__ import annotations

from typing import Any

import click

from nlplug.hookspecs import hookimpl

NLPLUG_CONTRACT = 2


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``nlplug webui``."""
    cli.add_command(webui)


@click.command(short_help="Open the web UI: one page per task, on this machine.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7860, show_default=True, help="Port. 0: any free port.")
@click.option("--task", "tasks", multiple=True, help="Serve only this task (repeatable).")
@click.option("--open/--no-open", "open_browser", default=False, help="Open the browser.")
@click.option(
    "--any-model/--installed-models",
    "any_model",
    default=None,
    help="Whether visitors may name folders and Hub ids. Default: only if the server listens on a "
    "loopback address, because others could read folders of this machine.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name of this server. Requests for other names are refused; IP addresses and localhost "
    "are always accepted.",
)
@click.option(
    "--workspace",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Workspace for corrections, data sets, training and models; a new or empty folder becomes "
    "one. It needs a loopback address or API keys.",
)
def webui(**settings: Any) -> None:
    """Serve the web UI and the HTTP API on one port until Ctrl-C.

    If NLPLUG_API_KEY or NLPLUG_API_KEYS_FILE is set, browsers have to log in with a key.
    """
    from nlplug_webui.serving import serve

    serve(**settings)

"""The plugin: the command ``nlplug webui``. Gradio is imported when the command runs."""

from __future__ import annotations

import click

from nlplug.hookspecs import hookimpl

NLPLUG_CONTRACT = 1


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``nlplug webui``."""
    cli.add_command(webui)


@click.command(short_help="Open the web UI: one page a task, on this machine.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=7860, show_default=True, help="Port; 0 takes any free one.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be given several times.")
@click.option("--open/--no-open", "open_browser", default=False, help="Open the browser.")
@click.option(
    "--any-model/--installed-models",
    "any_model",
    default=None,
    help="Whether visitors may name folders and Hub ids. By default only on this machine's own "
    "address, as strangers could otherwise look into its folders.",
)
def webui(
    host: str, port: int, tasks: tuple[str, ...], open_browser: bool, any_model: bool | None
) -> None:
    """Serve the web UI and the HTTP API on one port, until Ctrl+C."""
    from nlplug_webui.serving import serve

    serve(host=host, port=port, tasks=tasks, open_browser=open_browser, any_model=any_model)

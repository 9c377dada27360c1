"""``nlplug serve``: all installed tasks, or the named models, over HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._context import host_of
from nlplug.cli._options import FiniteRange
from nlplug.cli._signals import Ended
from nlplug.errors import OptionError
from nlplug.extras import require
from nlplug.server.listening import is_loopback, listen, url_of

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

_MEBIBYTE = 1024 * 1024


@click.command()
@click.argument("names", nargs=-1, metavar="[TASK|MODEL|NAME=MODEL]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on. 0: any free port.",
)
@click.option("--task", help="Task of named models that do not state their task.")
@click.option("--default", help="Model for POST /.  [default: first named model, or the only task]")
@click.option("--preload", is_flag=True, help="Load all models at start, not at first use.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16, int8 …")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:N, openvino, openvino:gpu.",
)
@click.option("--threads", type=int, help="CPU threads per model.  [default: all usable]")
@click.option(
    "--api-key",
    help="API keys, separated by commas; clients must send one of them.  [default: NLPLUG_API_KEY, "
    "which is not visible in the list of processes]",
)
@click.option(
    "--api-keys-file",
    type=click.Path(path_type=Path),
    help="A file with one key per line.  [default: NLPLUG_API_KEYS_FILE]",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name of this server, such as nlp.example.org or *.example.org. Requests for other "
    "names are refused; IP addresses and localhost are always accepted.",
)
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Allow pages of this origin, or *.")
@click.option(
    "--max-batch",
    default=32,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of inputs answered in one batch.",
)
@click.option(
    "--max-queue",
    default=128,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of requests that wait for one model; others get a 429.",
)
@click.option(
    "--max-body",
    default=4.0,
    show_default=True,
    type=FiniteRange(0, min_open=True),
    help="Largest body of a request, in MiB, compressed or not.",
)
@click.option(
    "--max-inputs",
    default=20_000,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of inputs in one request.",
)
@click.option(
    "--max-characters",
    default=2_000_000,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of characters in the inputs of one request.",
)
@click.option(
    "--max-generated",
    default=65_536,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of new tokens that one request may ask for: of all beams of all inputs.",
)
@click.option(
    "--max-connections",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of open connections.",
)
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=FiniteRange(0, min_open=True),
    help="Seconds after which a request is answered with a 504.",
)
@click.option(
    "--max-streams",
    default=8,
    show_default=True,
    type=click.IntRange(1),
    help="Largest number of answers of one model that are streamed at the same time.",
)
@click.option("--access-log", is_flag=True, help="Print one line per request.")
@click.pass_context
def serve(
    ctx: click.Context, /, names: tuple[str, ...], host: str, port: int, **settings: Any
) -> None:
    """Serve tasks over HTTP, in the formats of Hugging Face Inference.

    Without names, all installed tasks are served. Otherwise only the named tasks, packaged models,
    folders and Hub ids are served, under their own name or as NAME=MODEL.

    \b
    nlplug serve
    nlplug serve sentiment --port 9000
    nlplug serve reviews=./my-model --task sentiment
    """
    require("uvicorn", "server", purpose="Serving over HTTP")
    from nlplug.server.running import run

    access_log = settings.pop("access_log")
    max_body = int(settings.pop("max_body") * _MEBIBYTE)
    timeout = settings["timeout"]
    with listen(host, port) as listener:
        app = _make_app(ctx, names, max_body=max_body, **settings)
        serving = app.state.nlplug
        _announce(app, listener, protected=serving.protected)
        try:
            # At the end the server waits as long as a client may wait.
            run(app, listener, limits=serving.limits, graceful=timeout, access_log=access_log)
        except Ended:
            raise
        except KeyboardInterrupt:
            return  # Ctrl-C is how a server ends


def _make_app(
    ctx: click.Context,
    names: tuple[str, ...],
    **settings: Any,
) -> FastAPI:
    from nlplug.plugins import SERVER_PLUGIN_TIMEOUT
    from nlplug.server import create_app

    app = create_app(
        host_of(ctx, timeout=SERVER_PLUGIN_TIMEOUT),
        models=_sources(names),
        only=bool(names),
        **settings,
    )
    # Not in the start-up of the server, so that an error has no traceback.
    app.state.nlplug.preload()
    return app


def _sources(names: Sequence[str]) -> dict[str, str | Path]:
    """The models by the names under which they are served."""
    found: dict[str, str | Path] = {}
    for name in names:
        label, source = _source(name)
        if label in found:
            raise OptionError(
                f"Two models are to be served as {label!r}: {found[label]} and {source}.",
                hint=f"Give one of them another name: other={source}",
            )
        found[label] = source
    return found


def _source(name: str) -> tuple[str, str | Path]:
    """Parse ``NAME=MODEL``, or a model to serve under its own name."""
    label, equals, model = name.partition("=")
    if not equals:
        source = _place(name)
        return source.resolve().name if isinstance(source, Path) else name, source
    if not label or not model:
        raise OptionError(f"{name!r} is not NAME=MODEL.", hint="Example: reviews=./my-model")
    return label, _place(model)


def _place(model: str) -> str | Path:
    # A plain word is a task or packaged model, even if a folder has the same name.
    written_as_path = os.sep in model or model in (os.curdir, os.pardir)
    return Path(model) if written_as_path and Path(model).is_dir() else model


def _announce(app: FastAPI, listener: socket.socket, *, protected: bool) -> None:
    address = url_of(listener)
    catalog = app.state.nlplug.catalog
    names = [served.name for served in catalog]
    click.echo(f"Serving {', '.join(names) or 'nothing: no task is installed'}", err=True)
    click.echo(f"  {address}/openapi.json", err=True)
    for name in names:
        click.echo(f"  POST {address}/models/{name}", err=True)
    click.echo("Press Ctrl-C to stop.", err=True)
    if not protected and not is_loopback(listener.getsockname()[0]):
        click.echo(
            f"Warning: anybody who can reach {address} can use the models. Set NLPLUG_API_KEY.",
            err=True,
        )

"""The application: routes, what they share, and the order in which they are tried."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from nlplug import __version__
from nlplug.plugins import PluginHost
from nlplug.server.catalog import Catalog, Source
from nlplug.server.describe import describe_models, describe_tasks, failed_plugins
from nlplug.server.events import EventStream
from nlplug.server.http import (
    CLIENT_GONE,
    answered,
    error_reply,
    install_error_handlers,
    json_reply,
    key_check,
    parse_json,
    read_body,
    within,
)
from nlplug.server.metrics import CONTENT_TYPE
from nlplug.server.openapi import describe_app
from nlplug.server.pieces import answer_in_pieces
from nlplug.server.plugin_routes import mount_plugin_routes
from nlplug.server.protocols import huggingface
from nlplug.server.protocols.shapes import Call
from nlplug.server.serving import Limits, Opener, Serving

if TYPE_CHECKING:
    from nlplug.server.catalog import Served

_LARGE_BODY = 64 * 1024


def create_app(
    host: PluginHost | None = None,
    *,
    models: Mapping[str, Source] | None = None,
    task: str | None = None,
    default: str | None = None,
    only: bool = False,
    preload: bool | Collection[str] = False,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    max_batch: int = Limits.max_batch,
    max_queue: int = Limits.max_queue,
    max_body: int = Limits.max_body,
    timeout: float = Limits.timeout,
    max_streams: int = Limits.max_streams,
    api_key: str | None = None,
    cors: Sequence[str] = (),
    opener: Opener | None = None,
) -> FastAPI:
    """The HTTP app of every installed task. ``GET /`` is left to a UI mounted after it.

    Args:
        host: The plugins; None discovers the installed ones.
        models: More models by the name to serve them under: a task's or packaged model's name, a
            folder, a Hub id, a `Bundle` or a loaded `Pipeline`. Nothing else is ever opened.
        task: The task of those models that do not say it themselves.
        default: What ``POST /`` asks; None for the first of ``models``, else the only task.
        only: Serve nothing but ``models``.
        preload: Names to load at start, True for all; others are loaded at their first request.
        device: As `nlplug.pipeline` takes it.
        precision: As `nlplug.pipeline` takes it.
        threads: As `nlplug.pipeline` takes it.
        max_batch: Most inputs answered in one batch.
        max_queue: Most requests that wait for one model before others get a 429.
        max_body: Most bytes of a request.
        timeout: Seconds within which a request is answered, or refused with a 504; of a streamed
            answer, each of its pieces.
        max_streams: Most streamed answers of one model that are decoded side by side.
        api_key: What clients have to send; None for ``NLPLUG_API_KEY``; empty for no key.
        cors: Origins whose pages may ask; ``*`` for all.
        opener: Asked first for every model to load: a UI beside the server shares its own.

    Raises:
        ModelNotFound: A model, the default or one to preload does not exist.
        UnknownTask: A model does not say its task, or no plugin has it.
    """
    host = host or PluginHost.discover()
    key = os.environ.get("NLPLUG_API_KEY") if api_key is None else api_key
    check = key_check(key)
    if not only:
        host.load_all()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(serving.preload)
        yield
        await asyncio.to_thread(serving.close)

    app = FastAPI(
        title="nlplug",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    install_error_handlers(app)
    if not only:
        mount_plugin_routes(app, host, check)  # first, as a plugin that fails takes its tasks along
    catalog = Catalog(host, models or {}, task=task, default=default, only=only)
    if only:
        mount_plugin_routes(app, host, check)
    serving = Serving(
        host,
        catalog,
        Limits(max_batch, max_queue, max_body, timeout, max_streams),
        device=device,
        precision=precision,
        threads=threads,
        preload=_known(catalog, preload),
        opener=opener,
    )
    app.state.nlplug = serving
    _add_status_routes(app, serving)
    _add_listing_routes(app, serving, check, protected=bool(key))
    _add_model_routes(app, serving, check)
    if cors:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        )
    return app


def _known(catalog: Catalog, preload: bool | Collection[str]) -> bool | Collection[str]:
    if isinstance(preload, bool):
        return preload
    return {catalog.find(name).name for name in preload}


def _add_status_routes(app: FastAPI, serving: Serving) -> None:
    @app.get("/health", summary="Whether the server lives, and which plugins were left out")
    async def health() -> Response:
        failed = [plugin["name"] for plugin in failed_plugins(serving.host)]
        status = "degraded" if failed else "ok"
        return json_reply({"status": status, "version": __version__, "failed_plugins": failed})

    @app.get("/ready", summary="Whether the models to be loaded at start are in memory")
    async def ready() -> Response:
        if serving.ready:
            return json_reply({"status": "ready"})
        return json_reply({"status": "loading"}, 503)


def _add_listing_routes(app: FastAPI, serving: Serving, check: Any, *, protected: bool) -> None:
    async def guard(request: Request) -> None:
        check(request)

    guarded = [Depends(guard)]

    @app.get("/models", summary="What is served, and the plugins", dependencies=guarded)
    async def models() -> Response:
        return json_reply(describe_models(serving))

    @app.get("/models/{name:path}", summary="One served model", dependencies=guarded)
    async def model(name: str) -> Response:
        return json_reply(describe_models(serving, serving.catalog.find(name)))

    @app.get(
        "/tasks", summary="What each task takes and gives, as JSON schema", dependencies=guarded
    )
    async def tasks() -> Response:
        return json_reply(describe_tasks(serving.catalog))

    @app.get("/metrics", summary="Counters in Prometheus' text format", dependencies=guarded)
    async def metrics() -> Response:
        return Response(serving.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/openapi.json", include_in_schema=False, dependencies=guarded)
    async def openapi() -> Response:
        return json_reply(describe_app(app, serving.catalog, protected=protected))


def _add_model_routes(app: FastAPI, serving: Serving, check: Any) -> None:
    async def ask(request: Request, name: str | None, task: str | None = None) -> Response:
        started = perf_counter()
        label = ""
        try:
            check(request)
            served = serving.catalog.find(name, task)
            label = served.name
            response = await within(serving.limits.timeout, _answer(request, serving, served))
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        except Exception as error:
            response = error_reply(error, serving.metrics)

        def count(status: int) -> None:
            serving.metrics.requests.add(label, str(status))
            serving.metrics.seconds.observe(label, of=perf_counter() - started)

        if isinstance(response, EventStream):
            response.on_end(count)
        else:
            count(response.status_code)
        return response

    async def ask_model(request: Request) -> Response:
        return await ask(request, request.path_params.get("name"), request.path_params.get("task"))

    # Plain routes, as there is nothing here for FastAPI to check or inject; the OpenAPI document
    # describes them by task. The most special path comes first, as names may hold slashes.
    for path in ("/models/{name:path}/pipeline/{task}", "/models/{name:path}", "/"):
        app.router.routes.append(Route(path, ask_model, methods=["POST"], include_in_schema=False))


async def _answer(request: Request, serving: Serving, served: Served) -> Response:
    body = await read_body(request, serving.limits.max_body)

    def parse() -> Call:
        return huggingface.parse(parse_json(body), served.task)

    # A body that takes long to check must not keep all other clients waiting.
    large = len(body) > _LARGE_BODY
    call = await asyncio.to_thread(parse) if large else parse()
    if call.stream or call.details:
        return await answer_in_pieces(request, serving, served, call)
    answers: list[Any] = []
    if call.inputs:
        answers = await answered(serving.submit(served, call.inputs, call.options), request)

    def reply() -> Response:
        return json_reply(huggingface.reply(served.task, answers, call))

    return await asyncio.to_thread(reply) if large else reply()

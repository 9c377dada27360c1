"""The application: its routes, their order, and the objects that they share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from nlplug.plugins import PluginHost
from nlplug.server.body import parse_json, read_body
from nlplug.server.catalog import Catalog, Source
from nlplug.server.containment import AWAITING, contained
from nlplug.server.describe import describe_models, describe_tasks, failed_plugins
from nlplug.server.events import EventStream
from nlplug.server.guard import Guard, check_names
from nlplug.server.head import HeadAsGet
from nlplug.server.http import (
    CLIENT_GONE,
    answered,
    error_reply,
    install_error_handlers,
    json_reply,
    within,
)
from nlplug.server.keys import Keys, read_keys
from nlplug.server.limits import Limits
from nlplug.server.memory import kept_small
from nlplug.server.metrics import CONTENT_TYPE
from nlplug.server.openapi import describe_app
from nlplug.server.pieces import answer_in_pieces
from nlplug.server.plugin_routes import mount_plugin_routes
from nlplug.server.pool import ModelPool
from nlplug.server.protocols import huggingface
from nlplug.server.protocols.shapes import Call
from nlplug.server.serving import Serving
from nlplug.version import __version__

if TYPE_CHECKING:
    from nlplug.server.catalog import Served
    from nlplug.text.foreign import ForeignTexts

_LARGE_BODY = 64 * 1024

WARNINGS_HEADER = "X-Nlplug-Warnings"
"""The header with the warnings about an answer: a JSON list of texts."""
MODELS_HEADER = "X-Nlplug-Models"
"""The header with the models that answered by language: a JSON object of numbers of inputs."""


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
    api_key: str | None = None,
    api_keys_file: str | Path | None = None,
    allowed_hosts: Collection[str] = (),
    cors: Sequence[str] = (),
    pool: ModelPool | None = None,
    **limits: Any,
) -> FastAPI:
    """Create the HTTP app for the installed tasks. A UI may be mounted at ``/`` afterwards.

    Args:
        host: The plugins; None discovers the installed ones.
        models: Further models by their served name: the name of a task or packaged model, a
            folder, a Hub id, a `Bundle` or a loaded `Pipeline`. Nothing else is ever opened.
        task: Task of the models that do not state it.
        default: Model for ``POST /``; None: the first of ``models``, else the only task.
        only: Serve nothing but ``models``.
        preload: Names to load at start; True: all. Others are loaded at their first request.
        device: See `nlplug.pipeline`.
        precision: See `nlplug.pipeline`.
        threads: See `nlplug.pipeline`.
        api_key: API keys, separated by commas; clients must send one of them. None:
            ``NLPLUG_API_KEY`` and ``NLPLUG_API_KEYS_FILE``; empty: no key is needed.
        api_keys_file: File with further keys, one per line.
        allowed_hosts: Host names of the server; see `nlplug.server.guard.Guard`.
        cors: Origins whose pages may send requests; ``*``: all.
        pool: The loaded models, shared with a UI; None creates a pool with ``device``,
            ``precision`` and ``threads``.
        **limits: Fields of `nlplug.server.limits.Limits`.

    Raises:
        ModelNotFound: A model, the default or one to preload does not exist.
        UnknownTask: A model does not state its task, or no plugin has the task.
        OptionError: An allowed host is not a host name, or an origin of ``cors`` is not one.
        ServerError: The file of keys cannot be read or has no keys.
    """
    host = host or PluginHost.discover()
    budget = Limits(**limits)
    check_names(allowed_hosts, cors)
    keys = Keys(read_keys(api_key, api_keys_file))
    if not only:
        host.load_all()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(serving.preload)
        with kept_small():
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
        mount_plugin_routes(app, host)  # first, because a plugin that fails loses its tasks
    catalog = Catalog(host, models or {}, task=task, default=default, only=only)
    if only:
        mount_plugin_routes(app, host)
    serving = Serving(
        host,
        catalog,
        budget,
        pool=pool or ModelPool(host, device=device, precision=precision, threads=threads),
        preload=_known(catalog, preload),
        protected=bool(keys),
    )
    app.state.nlplug = serving
    _add_status_routes(app, serving)
    _add_listing_routes(app, serving)
    _add_model_routes(app, serving)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Guard, keys=keys, hosts=allowed_hosts, max_upload=budget.max_upload)
    if cors:  # before the guard, because preflight requests of browsers have no key
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors),
            allow_methods=["GET", "POST"],
            # Clients in browsers add headers of their own, such as User-Agent.
            allow_headers=["*"],
            expose_headers=[WARNINGS_HEADER, MODELS_HEADER, "Retry-After"],
        )
    return app


def _known(catalog: Catalog, preload: bool | Collection[str]) -> bool | Collection[str]:
    if isinstance(preload, bool):
        return preload
    return {catalog.find(name).name for name in preload}


def _add_status_routes(app: FastAPI, serving: Serving) -> None:
    @app.get("/health", summary="Whether the server is running, and the plugins that failed")
    async def health() -> Response:
        failed = [plugin["name"] for plugin in failed_plugins(serving.host)]
        status = "degraded" if failed else "ok"
        return json_reply({"status": status, "version": __version__, "failed_plugins": failed})

    @app.get("/ready", summary="Whether the models to load at start are ready")
    async def ready() -> Response:
        if missing := serving.missing:
            return json_reply({"status": "loading", "missing": missing}, 503)
        return json_reply({"status": "ready"})


def _add_listing_routes(app: FastAPI, serving: Serving) -> None:
    @app.get("/models/", include_in_schema=False)  # before the names, of which "" is none
    @app.get("/models", summary="Served models and plugins")
    async def models() -> Response:
        return json_reply(describe_models(serving))

    @app.get("/models/{name:path}", summary="One served model")
    async def model(name: str) -> Response:
        return json_reply(describe_models(serving, serving.catalog.find(name)))

    @app.get("/tasks", summary="Input, options and output of each task as JSON schema")
    async def tasks() -> Response:
        return json_reply(describe_tasks(serving.catalog))

    @app.get(
        "/metrics",
        summary="Counters in Prometheus' text format",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        return Response(serving.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return json_reply(describe_app(app, serving.catalog, protected=serving.protected))


def _add_model_routes(app: FastAPI, serving: Serving) -> None:
    async def ask(request: Request, name: str | None, task: str | None = None) -> Response:
        started = perf_counter()
        label = ""
        try:
            served = serving.catalog.find(name, task)
            label = served.name
            limit = serving.limits.timeout
            with contained(*AWAITING):
                body = await read_body(request, serving.limits.max_body, limit)
                work = _answer(request, serving, served, body)
                response = await within(limit, work, spent=perf_counter() - started)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        except Exception as error:
            response = error_reply(error, serving.metrics)

        def count(status: int) -> None:
            serving.metrics.requests.labels(label, str(status)).inc()
            serving.metrics.seconds.labels(label).observe(perf_counter() - started)

        if isinstance(response, EventStream):
            response.on_end(count)
        else:
            count(response.status_code)
        return response

    async def ask_model(request: Request) -> Response:
        return await ask(request, request.path_params.get("name"), request.path_params.get("task"))

    # Plain routes, because FastAPI has nothing to check or inject here; the OpenAPI document
    # describes them by task. The most specific path comes first, because names may have slashes.
    pipeline = "/models/{name:path}/pipeline/{task}"
    for path in (pipeline, f"{pipeline}/", "/models/{name:path}", "/"):
        app.router.routes.append(Route(path, ask_model, methods=["POST"], include_in_schema=False))


async def _answer(request: Request, serving: Serving, served: Served, body: bytearray) -> Response:
    agent = request.headers.get("user-agent", "")

    def check() -> tuple[Call, ForeignTexts, Mapping[str, int]]:
        with contained():
            serving.limits.check_body(body)
            value, defaults = parse_json(body), serving.defaults(served)
            call = huggingface.parse(
                value, served.task, serving.limits, agent=agent, defaults=defaults
            )
            serving.check_work(served, call.inputs, call.options)
            found = serving.foreign(served, call.inputs, call.options)
            return call, found, serving.models_of(served, call.inputs, call.options)

    # In a thread: a body may be large, and the first check loads what detects languages.
    call, found, models = await asyncio.to_thread(check)
    large = len(body) > _LARGE_BODY
    notices = [*call.notices, *([message] if (message := str(found)) else [])]
    options = call.options
    if "on_foreign" in served.task.Options.model_fields:
        options = {**options, "on_foreign": "ignore"}  # it is done
    call = replace(call, options=options)
    if call.stream or call.details:
        response = await answer_in_pieces(request, serving, served, call)
        return _with_headers(response, notices, models)
    answers: list[Any] = []
    if call.inputs:
        answering = serving.submit(served, call.inputs, call.options, notices)
        answers = await answered(answering, request)

    def reply() -> Response:
        with contained():
            value = huggingface.reply(served.task, answers, call)
            return json_reply({"results": value, "warnings": notices} if call.warnings else value)

    response = await asyncio.to_thread(reply) if large else reply()
    return _with_headers(response, notices, models)


def _with_headers(
    response: Response, notices: Sequence[str], models: Mapping[str, int]
) -> Response:
    """The response with its facts as headers: the replies of the protocols have no room."""
    if notices:
        response.headers[WARNINGS_HEADER] = json.dumps(notices)
    if models:
        response.headers[MODELS_HEADER] = json.dumps(models)
    return response

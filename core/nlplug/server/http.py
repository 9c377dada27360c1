"""Shared by all endpoints: JSON replies, errors, waiting."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Receive

from nlplug.answer_values import numpy_as_json
from nlplug.errors import (
    InputError,
    NlplugError,
    Overloaded,
    PluginError,
    RequestTimeout,
    explained,
)
from nlplug.plugins import failed_plugin
from nlplug.server.metrics import Metrics

T = TypeVar("T")

CLIENT_GONE = 499
"""The status that is counted when a client disconnects; it is never sent."""

_log = logging.getLogger("nlplug.server")
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    415: {"Accept-Encoding": "gzip"},
}


def json_reply(value: Any, status: int = 200) -> Response:
    """A JSON response; invalid Unicode in texts is replaced."""
    body = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=numpy_as_json
    )
    return Response(
        body.encode("utf-8", "replace"),
        status_code=status,
        media_type="application/json",
        headers=_HEADERS.get(status),
    )


def error_reply(error: Exception, metrics: Metrics | None = None) -> Response:
    """The JSON response to an error; see `shown_error`."""
    shown = shown_error(error, metrics)
    response = json_reply(shown.to_dict(), shown.http_status)
    if isinstance(shown, Overloaded):
        response.headers["Retry-After"] = str(shown.retry_after)
    return response


def shown_error(error: Exception, metrics: Metrics | None = None) -> NlplugError:
    """The error for clients; an unexpected error is logged, and its text is not shown."""
    error = explained(error) or error
    if not isinstance(error, NlplugError):
        _log.error("A request failed", exc_info=error)
        cause = "The log of the server has the cause."
        dist = failed_plugin(error)
        error = (
            NlplugError("Internal error of the server.", hint=cause)
            if dist is None
            else PluginError(
                f"The plugin {dist} has a bug.", hint=f"{cause} Report it to the authors of {dist}."
            )
        )
    elif error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(
        error, Overloaded
    ):
        _log.error("%s: %s", type(error).__name__, error.message)
    if metrics is not None:
        metrics.errors.labels(error.error_type).inc()
    return error


def install_error_handlers(app: FastAPI) -> None:
    """Answer errors of this app's own routes as JSON; mounted apps keep their error pages."""

    async def known(request: Request, error: Exception) -> Response:
        return error_reply(error)

    async def plain(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        response = json_reply(_describe(request, error, status), status)
        response.headers.update(getattr(error, "headers", None) or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(_allowed(request))
        return response

    async def invalid(request: Request, error: Exception) -> Response:
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        first = problems[0] if problems else {"loc": (), "msg": str(error)}
        path = ".".join(str(part) for part in first["loc"])
        return error_reply(InputError(f"{path}: {first['msg']}"))

    app.add_exception_handler(NlplugError, known)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, known)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes of a path; the error names only those of the first one."""
    routes = [one for one in request.app.routes if one.matches(request.scope)[0] != Match.NONE]
    found = {method for one in routes for method in getattr(one, "methods", None) or ()}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _describe(request: Request, error: Exception, status: int) -> dict[str, Any]:
    where = f"{request.method} {request.url.path}"
    if status == HTTPStatus.NOT_FOUND:
        return {
            "error": f"There is no {where} here.",
            "error_type": "not_found",
            "hint": "GET /models lists the served models; POST /models/{name} runs one.",
        }
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return {
            "error": f"{where} is not allowed.",
            "error_type": "method_not_allowed",
            "hint": "GET /openapi.json describes every endpoint.",
        }
    detail = getattr(error, "detail", "") or HTTPStatus(status).phrase
    return {"error": str(detail), "error_type": "http"}


async def within(seconds: float, work: Awaitable[T], *, spent: float = 0.0) -> T:
    """Await ``work``, cancelling it after ``seconds``, of which some may be ``spent``.

    Raises:
        RequestTimeout: The work took longer.
    """
    deadline = asyncio.timeout(seconds - spent)
    try:
        async with deadline:
            return await work
    except TimeoutError:
        if not deadline.expired():
            raise  # an error of the work itself
        raise RequestTimeout(
            f"The request was not answered within {seconds:g} seconds.",
            hint="Send shorter or fewer inputs, or start the server with a larger --timeout.",
        ) from None


async def unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """Await ``work``; it is cancelled when the client goes away or the waiting is.

    Args:
        work: Whatever the client waits for.
        receive: Of a request whose body has been read.

    Raises:
        ClientDisconnect: The client went away.
    """
    waiting = asyncio.ensure_future(work)
    watcher = asyncio.create_task(_disconnected(receive))
    try:
        either: set[asyncio.Future[Any]] = {waiting, watcher}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    finally:
        waiting.cancel()
        watcher.cancel()


async def answered(future: Future[T], request: Request) -> T:
    """The future's result; it is cancelled when the client goes away or the waiting is.

    Raises:
        ClientDisconnect: The client went away.
    """
    try:
        return await unless_gone(asyncio.wrap_future(future), request.receive)
    finally:
        future.cancel()  # itself too, as the queue would hear of it one turn of the loop later


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

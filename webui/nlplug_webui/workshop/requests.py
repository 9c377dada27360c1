"""The routes of the pages, and the check of requests that change something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, Depends, Request

from nlplug.errors import OptionError

HEADER = "x-nlplug-page"


def by_our_page(request: Request) -> None:
    """Refuse a change that another site asks for.

    Raises:
        OptionError: The header of our pages is missing.
    """
    if request.method not in ("GET", "HEAD") and HEADER not in request.headers:
        raise OptionError(
            f"The header {HEADER} is missing.", hint="Only the pages of this server may change it."
        )


def page_router(prefix: str, routes: Iterable[tuple[str, str, Callable[..., Any]]]) -> APIRouter:
    """A router for our pages only.

    Args:
        prefix: First path segment of the routes.
        routes: Method, path behind the prefix, and what answers.
    """
    router = APIRouter(
        prefix=f"/{prefix}", dependencies=[Depends(by_our_page)], include_in_schema=False
    )
    for method, path, answer in routes:
        router.add_api_route(path, answer, methods=[method], response_model=None)
    return router

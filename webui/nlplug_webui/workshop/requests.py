"""The check of requests that change something."""

from __future__ import annotations

from fastapi import Request

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

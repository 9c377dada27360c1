"""The scripts of the pages, sent as two files: few requests open a page sooner."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

_FOLDER = Path(__file__).parents[1] / "static"
_WORKSHOP = (
    *("kit", "editor", "correct", "charts", "datasets", "training", "report", "main"),
    *("by_task", "compare", "inside", "plugins", "shortcuts"),
    *("products", "generation", "sentences", "translation", "entities", "history", "chat", "batch"),
)
# Address → its parts, in their order.
_FILES = {
    "np-page.js": ("look", "header", "address", "page"),
    "np-workshop.js": tuple(f"workshop/{name}" for name in _WORKSHOP),
}


@cache
def _text(name: str) -> bytes:
    return b"\n".join((_FOLDER / f"{part}.js").read_bytes() for part in _FILES[name])


def tags() -> str:
    """The elements that load the scripts; their addresses change with the content.

    The first file has to run before the page is drawn.
    """
    page, workshop = (f"./{name}?{sha256(_text(name)).hexdigest()[:12]}" for name in _FILES)
    return f'<script src="{page}"></script><script src="{workshop}" defer></script>'


def routes() -> dict[str, Callable[[], Response]]:
    """What answers at each address."""
    return {f"/{name}": partial(_script, name) for name in _FILES}


def _script(name: str) -> Response:
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_text(name), media_type="text/javascript", headers=headers)

"""The scripts of the workspace pages, sent as one file."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

SCRIPTS = "np-workshop.js"
"""The address of the file."""
_FOLDER = Path(__file__).parents[1] / "static" / "workshop"
_ORDER = (
    *("kit", "editor", "correct", "charts", "datasets", "training", "report", "main"),
    *("compare", "plugins", "shortcuts"),
    *("products", "generation", "sentences", "translation", "entities", "history", "chat"),
)


@cache
def _text() -> bytes:
    return b"\n".join((_FOLDER / f"{name}.js").read_bytes() for name in _ORDER)


def workshop_address() -> str:
    """The address with a hash of the content, so that browsers may keep the file."""
    return f"{SCRIPTS}?{sha256(_text()).hexdigest()[:12]}"


def scripts() -> Response:
    """The file."""
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_text(), media_type="text/javascript", headers=headers)

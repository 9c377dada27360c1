"""The scripts and styles of the pages, sent as few files: few requests open a page sooner."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parents[1] / "static"
_WORKSHOP = (
    *("kit", "editor", "correct", "charts", "datasets", "training", "report", "main"),
    *("by_task", "compare", "inside", "plugins", "shortcuts"),
    *("products", "generation", "sentences", "translation", "entities", "history", "chat", "batch"),
    "lost",
)
# Address → its parts, in their order.
_SCRIPTS = {
    "np-page.js": ("look", "header", "address", "page"),
    "np-workshop.js": tuple(f"workshop/{name}" for name in _WORKSHOP),
}


@dataclass(frozen=True)
class SentFile:
    """A file that browsers keep: its address changes with its content.

    Attributes:
        name: First part of its address.
        media: Its media type.
        content: Its bytes.
    """

    name: str
    media: str
    content: bytes

    @property
    def address(self) -> str:
        """Its address, relative to a page."""
        return f"./{self.name}?{sha256(self.content).hexdigest()[:12]}"

    @cached_property
    def _packed(self) -> bytes:
        return gzip.compress(self.content, mtime=0)

    async def answer(self, request: Request) -> Response:
        """Send the file, compressed if the browser accepts that."""
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "accept-encoding",
        }
        content = self.content
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            content = self._packed
            headers["content-encoding"] = "gzip"
        return Response(content, media_type=self.media, headers=headers)


def accepts_gzip(header: str) -> bool:
    """Whether a browser that sends this ``Accept-Encoding`` accepts gzip."""
    codings = [part.replace(" ", "").lower() for part in header.split(",")]
    return any(coding in ("gzip", "gzip;q=1", "gzip;q=1.0") for coding in codings)


def scripts() -> tuple[SentFile, SentFile]:
    """The scripts of this package: what runs before a page is drawn, and the others."""
    first, later = (
        SentFile(
            name, "text/javascript", b"\n".join((_FOLDER / f"{p}.js").read_bytes() for p in parts)
        )
        for name, parts in _SCRIPTS.items()
    )
    return first, later

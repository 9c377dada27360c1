"""Reading the body of a request: bounded, decompressed, parsed."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any

from nlplug import json_text
from nlplug.errors import BodyTimeout, InputError, RequestTooLarge, UnsupportedEncoding

if TYPE_CHECKING:
    from fastapi import Request

_SLICE = 4096


async def read_body(request: Request, max_body: int, seconds: float) -> bytearray:
    """The body, decompressed, never holding more than ``max_body`` bytes.

    Raises:
        BodyTimeout: It was not received within ``seconds``.
        RequestTooLarge: The body is larger, as sent or decompressed.
        UnsupportedEncoding: The content encoding is not gzip.
        InputError: The body is not valid gzip.
        ClientDisconnect: The client disconnected.
    """
    packed = _is_packed(request)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_body:
        raise _too_large(max_body)
    unpack = _Gzip() if packed else None
    body = bytearray()
    received = 0
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            async for chunk in request.stream():
                received += len(chunk)
                body += unpack(chunk, max_body + 1 - len(body)) if unpack else chunk
                if max(received, len(body)) > max_body:
                    raise _too_large(max_body)
    except TimeoutError:
        of = f" of {declared}" if declared.isdigit() else ""
        raise BodyTimeout(
            f"The body did not arrive within {seconds:g} seconds: {received}{of} bytes.",
            hint="Send the whole body; check its Content-Length.",
        ) from None
    if unpack is not None and not unpack.ended:
        raise _no_gzip("it ends early")
    return body


def parse_json(body: bytes | bytearray) -> Any:
    """The value of a JSON text.

    Raises:
        InputError: The text is not JSON.
    """
    try:
        return json_text.parse_json(body, unique_keys=True)
    except json.JSONDecodeError as error:
        reason = str(error) if error.doc else error.msg
        raise InputError(
            f"The body is not valid JSON: {reason}." if body else "The body is empty.",
            hint='Send {"inputs": "…", "parameters": {}}, in UTF-8.',
        ) from None


def _is_packed(request: Request) -> bool:
    """Whether the body is gzip; a header may be repeated, and ``identity`` changes nothing.

    Raises:
        UnsupportedEncoding: It is compressed in another way, or more than once.
    """
    header = ",".join(request.headers.getlist("content-encoding"))
    names = [name for one in header.lower().split(",") if (name := one.strip())]
    packings = [name for name in names if name != "identity"]
    if packings not in ([], ["gzip"], ["x-gzip"]):
        raise UnsupportedEncoding(
            f"The body has the content encoding {', '.join(names)!r}.",
            hint="Send the body with gzip or uncompressed.",
        )
    return bool(packings)


class _Gzip:
    """Unpacks gzip, which may have several members, piece by piece."""

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(wbits=31)

    @property
    def ended(self) -> bool:
        """Whether the last member is complete."""
        return self._unpack.eof

    def __call__(self, chunk: bytes, room: int) -> bytes:
        """The next bytes, at most ``room`` of them.

        Raises:
            InputError: The bytes are not valid gzip.
        """
        found = bytearray()
        # In slices, because what follows a member is copied for each of the members in a slice.
        for start in range(0, len(chunk), _SLICE):
            left = chunk[start : start + _SLICE]
            while left and len(found) < room:
                if self._unpack.eof:
                    self._unpack = zlib.decompressobj(wbits=31)
                try:
                    found += self._unpack.decompress(left, room - len(found))
                except zlib.error as error:
                    raise _no_gzip(str(error)) from None
                left = self._unpack.unused_data
        return bytes(found)


def _no_gzip(reason: str) -> InputError:
    return InputError(
        f"The body is not valid gzip: {reason}.",
        hint="Leave out the header Content-Encoding, or compress the whole body.",
    )


def _too_large(max_body: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The body is larger than {max_body} bytes.",
        hint="Send fewer or shorter inputs, or start the server with a larger --max-body.",
    )

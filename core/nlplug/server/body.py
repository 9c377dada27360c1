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


async def read_body(request: Request, max_body: int, seconds: float) -> bytearray:
    """The body, decompressed, never holding more than ``max_body`` bytes.

    Raises:
        BodyTimeout: It was not received within ``seconds``.
        RequestTooLarge: The body is larger, as sent or decompressed.
        UnsupportedEncoding: The content encoding is not gzip.
        InputError: The body is not valid gzip.
        ClientDisconnect: The client disconnected.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise UnsupportedEncoding(
            f"The body has the content encoding {encoding!r}.",
            hint="Send the body with gzip or uncompressed.",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_body:
        raise _too_large(max_body)
    unpack = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    body = bytearray()
    received = 0
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            async for chunk in request.stream():
                received += len(chunk)
                body += _unpacked(unpack, chunk, max_body + 1 - len(body)) if unpack else chunk
                if max(received, len(body)) > max_body:
                    raise _too_large(max_body)
    except TimeoutError:
        of = f" of {declared}" if declared.isdigit() else ""
        raise BodyTimeout(
            f"The body did not arrive within {seconds:g} seconds: {received}{of} bytes.",
            hint="Send the whole body; check its Content-Length.",
        ) from None
    if unpack is not None and not unpack.eof:
        raise _no_gzip("it ends early")
    if unpack is not None and unpack.unused_data:
        raise _no_gzip("data after its end")
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
            hint='Send {"inputs": "…", "parameters": {}}.',
        ) from None


def _unpacked(unpack: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    if not chunk:
        return b""
    try:
        return unpack.decompress(chunk, room)
    except zlib.error as error:
        raise _no_gzip(str(error)) from None


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

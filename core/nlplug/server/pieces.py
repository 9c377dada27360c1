"""Requests answered in pieces: as events, or collected if details are requested.

An error before the first piece is a reply with a status; a later error is the last event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING

from nlplug.runtime.answers import TextPiece
from nlplug.server.events import EventStream, event
from nlplug.server.http import json_reply, shown_error, unless_gone, within
from nlplug.server.protocols.text_generation import Telling

if TYPE_CHECKING:
    from fastapi import Request, Response

    from nlplug.server.catalog import Served
    from nlplug.server.protocols.shapes import Call
    from nlplug.server.serving import Serving
    from nlplug.server.streaming import Stream


async def answer_in_pieces(
    request: Request, serving: Serving, served: Served, call: Call
) -> Response:
    """Answer a request for a stream, or for details, which only streams have.

    Raises:
        NlplugError: An error before the first piece.
        ClientDisconnect: The client disconnected before the first piece.
    """
    telling = Telling(_before(call), call.options.get("seed"))
    stream = serving.stream(served, call.inputs[0], call.options)
    started = perf_counter()
    try:
        first = await unless_gone(stream.more(), request.receive)
        serving.metrics.first_token.labels(served.name).observe(perf_counter() - started)
        if not call.stream:
            return await unless_gone(_gathered(stream, first, telling), request.receive)
    except BaseException:
        stream.cancel()
        raise
    finally:
        if not call.stream:
            serving.metrics.tokens.labels(served.name).inc(telling.tokens)

    def end(status: int) -> None:
        stream.cancel()
        serving.metrics.tokens.labels(served.name).inc(telling.tokens)

    response = EventStream(_events(stream, first, telling, serving))
    response.on_end(end)
    return response


def _before(call: Call) -> str:
    """The prompt, if the full text is requested, because pieces contain only new text."""
    if not call.options.get("return_full_text"):
        return ""
    return next((v for v in call.inputs[0].model_dump().values() if isinstance(v, str)), "")


async def _gathered(stream: Stream, pieces: list[TextPiece], telling: Telling) -> Response:
    while pieces:
        for piece in pieces:
            telling.events(piece)
        pieces = await stream.more()
    return json_reply(telling.reply())


async def _events(
    stream: Stream, pieces: list[TextPiece], telling: Telling, serving: Serving
) -> AsyncIterator[bytes]:
    """The events; those of pieces that arrived together are sent together.

    Each write lets another thread run, and under load it is some time until this one goes on.
    """
    try:
        while pieces:
            yield b"".join(event(one) for piece in pieces for one in telling.events(piece))
            pieces = await within(serving.limits.timeout, stream.more())
        if not telling.ended:  # the runner does not report why it ended
            for one in telling.events(TextPiece("", "eos", telling.tokens)):
                yield event(one)
    except Exception as error:
        yield event(shown_error(error, serving.metrics).to_dict())

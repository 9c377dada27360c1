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
        first = await unless_gone(stream.next(), request.receive)
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


async def _gathered(stream: Stream, piece: TextPiece | None, telling: Telling) -> Response:
    while piece is not None:
        telling.events(piece)
        piece = await stream.next()
    return json_reply(telling.reply())


async def _events(
    stream: Stream, piece: TextPiece | None, telling: Telling, serving: Serving
) -> AsyncIterator[bytes]:
    try:
        while piece is not None:
            for one in telling.events(piece):
                yield event(one)
            piece = await within(serving.limits.timeout, stream.next())
        if not telling.ended:  # the runner does not report why it ended
            for one in telling.events(TextPiece("", "eos", telling.tokens)):
                yield event(one)
    except Exception as error:
        yield event(shown_error(error, serving.metrics).to_dict())

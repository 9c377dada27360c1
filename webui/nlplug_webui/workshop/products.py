"""The routes behind the tools on the pages of tasks: alternatives, whole files, and chats."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

from fastapi import Body, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from nlplug import PluginHost
from nlplug.async_iterators import iterate_in_thread
from nlplug.errors import NlplugError, OptionError
from nlplug.heard_warnings import heard
from nlplug.server.pool import AUTO, ModelPool
from nlplug.text.language_codes import base
from nlplug_webui.messages import shown_error
from nlplug_webui.notices import all_texts, hearing, unwatched
from nlplug_webui.texts import language_of
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-products"
"""First path segment of the routes."""
_LONGEST = 2_000_000


class ToolCall(BaseModel):
    """A call of a page.

    Attributes:
        task: Name of the task.
        model: A name, folder or Hub id; empty: the default model of the task.
        precision: ``auto``, or a precision of the model.
        item: The fields of the input.
        options: The options that differ from the defaults.
        part: Number of the part of the answer.
        before: For alternatives: the beginning of the part that stays; None for the whole part.
    """

    task: str
    model: str | None = None
    precision: str = AUTO
    item: dict[str, Any]
    options: dict[str, Any] = Field(default_factory=dict)
    part: int = 0
    before: str | None = None


class TaskTools:
    """The routes.

    Args:
        host: The plugins.
        pool: The loaded models.
    """

    def __init__(self, host: PluginHost, pool: ModelPool) -> None:
        self._host = host
        self._pool = pool
        self.router = page_router(
            PREFIX,
            [
                ("POST", "/alternatives", self.alternatives),
                ("POST", "/direction", self.direction),
                ("POST", "/whole", self.whole),
            ],
        )

    def alternatives(self, call: ToolCall) -> Any:
        """Other texts for one part of an answer."""
        task = self._host.task(call.task)
        with self._pool.lease(task, call.model or None, call.precision or AUTO) as lease:
            texts = lease.pipeline.alternatives(
                call.item, part=call.part, before=call.before, **call.options
            )
        return {"texts": texts}

    def direction(
        self,
        task: str = Body(),
        source: str = Body(),
        target: str = Body(),
    ) -> Any:
        """A model on this machine that translates between two languages, with their codes.

        A code is empty if the model has no choice. All are None if there is no such model.
        """
        found = self._host.task(task)
        for name in self._pool.local(found):
            try:
                offered = found.choices(self._pool.bundle(found, name))
            except NlplugError:  # a model for something else
                continue
            codes = {}
            for key, wanted in (("src_lang", source), ("tgt_lang", target)):
                known = {base(code): code for code in offered.get(key, {})}
                if base(wanted) in known:
                    codes[key] = known[base(wanted)] if len(known) > 1 else ""
            if len(codes) == 2:
                return {"model": name, **codes}
        return dict.fromkeys(("model", "src_lang", "tgt_lang"))

    async def whole(self, request: Request, call: ToolCall) -> StreamingResponse:
        """The answer to a long text, one JSON value per line: its pieces, or an error.

        After the last piece comes why it ended, and what is to know of the answer.
        """
        size = len(json.dumps(call.item, ensure_ascii=False))
        if size > _LONGEST:
            raise OptionError(
                f"The text has {size:,} characters.", hint=f"Send at most {_LONGEST:,}."
            )
        lines = self._lines(call, language_of(request))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def _lines(self, call: ToolCall, language: str) -> AsyncIterator[str]:
        async with iterate_in_thread(self._pieces(call, language)) as lines:
            async for line in lines:
                yield json.dumps(line, ensure_ascii=False) + "\n"

    def _pieces(self, call: ToolCall, language: str) -> Any:
        notices: list[str] = []
        finish = None
        try:
            task = self._host.task(call.task)
            with self._pool.lease(task, call.model or None, call.precision or AUTO) as lease:
                foreign = lease.pipeline.foreign([call.item], **call.options)
                with heard(notices):
                    pieces = lease.pipeline.pieces(call.item, **unwatched(task, call.options))
                with closing(hearing(pieces, notices)) as pieces:
                    for piece in pieces:
                        finish = piece.finish
                        if piece.text:
                            yield {"text": piece.text}
            told = all_texts(foreign, notices, language)
            yield {"done": True, "finish": finish, "notices": told}
        except Exception as error:  # the reply has begun, so the page reads the error from it
            yield shown_error(error)

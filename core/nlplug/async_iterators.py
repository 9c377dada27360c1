"""Iterators that compute, and iterators that wait, brought together for ``async for``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_DONE: Any = object()


@asynccontextmanager
async def steps(iterator: Iterator[T]) -> AsyncIterator[AsyncGenerator[T, None]]:
    """Take each element of an iterator in a thread, so that the event loop goes on meanwhile.

    On leaving the block the iterator is closed, once a step that is still computed is done; so
    nothing works on for a consumer that was cancelled or lost interest.
    """
    turn = threading.Lock()  # a cancelled task leaves its thread behind in the middle of a step

    def step() -> T:
        with turn:
            return next(iterator, _DONE)

    def close() -> None:
        with turn:
            if hasattr(iterator, "close"):
                iterator.close()

    async def elements() -> AsyncGenerator[T, None]:
        while (element := await asyncio.to_thread(step)) is not _DONE:
            yield element

    try:
        yield elements()
    finally:
        await asyncio.shield(asyncio.to_thread(close))


async def groups(inputs: AsyncIterable[T], size: int = 1024) -> AsyncIterator[list[T]]:
    """Groups of whatever an async iterable yields without waiting, at most ``size``."""
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=size)
    end = object()

    async def fill() -> None:
        try:
            async for value in inputs:
                await queue.put(value)
        finally:
            await queue.put(end)

    reader = asyncio.create_task(fill())
    try:
        finished = False
        while not finished:
            group = [await queue.get()]
            while not queue.empty() and len(group) < size:
                group.append(queue.get_nowait())
            if group[-1] is end:
                finished = True
                group.pop()
            if group:
                yield group
        await reader  # raises what the source raised
    finally:
        reader.cancel()

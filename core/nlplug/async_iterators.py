"""Iterators for ``async for``: computed in threads, or grouped as they become available.

It is imported when it is needed, because importing asyncio takes a twentieth of the time in which
``nlplug run`` starts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_DONE: Any = object()


async def in_thread(call: Callable[[], T]) -> T:
    """The result of a call that runs in a thread, so that the event loop is not blocked."""
    return await asyncio.to_thread(call)


@asynccontextmanager
async def iterate_in_thread(
    generator: Generator[T, None, None],
) -> AsyncIterator[AsyncGenerator[T, None]]:
    """Compute each element in a thread, so that the event loop is not blocked.

    On leaving the block the generator is closed, after the element that is being computed. So no
    work continues for a consumer that was cancelled or stopped reading.
    """
    lock = threading.Lock()  # the thread of a cancelled task still computes its element

    def step() -> T:
        with lock:
            return next(generator, _DONE)

    def close() -> None:
        with lock:
            generator.close()

    async def elements() -> AsyncGenerator[T, None]:
        while (element := await asyncio.to_thread(step)) is not _DONE:
            yield element

    try:
        yield elements()
    finally:
        await asyncio.shield(asyncio.to_thread(close))


async def available_groups(inputs: AsyncIterable[T], size: int = 1024) -> AsyncIterator[list[T]]:
    """Groups of the elements that an async iterable has ready, at most ``size`` per group."""
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

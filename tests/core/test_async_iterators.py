"""Iterators that compute, read by ``async for``: in order, and closed whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

from nlplug.async_iterators import iterate_in_thread


@dataclass
class Work:
    """Counts up; each number is computed once it may be."""

    may: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def numbers(self) -> Generator[int, None, None]:
        try:
            for number in range(100):
                yield number
                self.begun.set()
                self.may.wait()
        finally:
            self.closed = True


def test_elements_come_in_order_and_the_loop_goes_on_meanwhile() -> None:
    work = Work()

    async def read() -> list[int]:
        found = []
        async with iterate_in_thread(work.numbers()) as numbers:
            async for number in numbers:
                found.append(number)
                work.may.set()  # of no use where a step blocked the loop
        return found

    assert asyncio.run(read()) == list(range(100))
    assert work.closed


def test_what_a_step_raises_is_raised_here() -> None:
    def numbers() -> Generator[int, None, None]:
        yield 1
        raise ValueError("no more")

    async def read() -> None:
        async with iterate_in_thread(numbers()) as found:
            async for _ in found:
                pass

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(read())


def test_a_consumer_that_is_cancelled_in_a_step_leaves_nothing_at_work() -> None:
    work = Work()

    async def read() -> None:
        async with iterate_in_thread(work.numbers()) as numbers:
            async for _ in numbers:
                pass

    async def cancel() -> None:
        reader = asyncio.create_task(read())
        await asyncio.to_thread(work.begun.wait)
        reader.cancel()
        work.may.set()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(cancel())
    assert work.closed

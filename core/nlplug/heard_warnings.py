"""The messages of warnings about a call, for a server that passes them on to its client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


@contextmanager
def heard(messages: list[str]) -> Iterator[None]:
    """Within, each message that this thread warns of is also added to a list, once."""
    token = _heard.set(messages)
    try:
        yield
    finally:
        _heard.reset(token)


def hear(message: str) -> None:
    """Add a message to the list of the code around, if it has one."""
    messages = _heard.get()
    if messages is not None and message not in messages:
        messages.append(message)

"""Keeps one request's failure from ending the thread or the server that answers others."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contained() -> Iterator[None]:
    """Turn what would end a thread or an event loop into an error of the request.

    Models and plugins may raise SystemExit or KeyboardInterrupt, and a panic in Rust arrives as a
    BaseException as well. Cancellation passes unchanged.

    Raises:
        RuntimeError: Such an exception; it is the cause.
    """
    try:
        yield
    except (Exception, CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__} was raised: {error}") from error

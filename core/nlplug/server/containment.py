"""Keeps one request's failure from ending the thread or the server that answers others."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contained() -> Iterator[None]:
    """Convert exceptions that would end a thread or an event loop to errors of the request.

    Models and plugins may raise SystemExit or KeyboardInterrupt, and a panic in Rust is a
    BaseException too. Cancellation is passed on unchanged.

    Raises:
        RuntimeError: Instead of such an exception, which is its cause.
    """
    try:
        yield
    except (Exception, CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__} was raised: {error}") from error

"""Keeps one request's failure from ending the thread or the server that answers others."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contained() -> Iterator[None]:
    """Convert exceptions that would end a thread or a request to ordinary errors of the request.

    For code of models and plugins that runs without `await`. They may raise SystemExit or
    KeyboardInterrupt, a panic in Rust is a BaseException too, and asyncio takes a CancelledError or
    StopIteration of theirs for its own.

    Raises:
        RuntimeError: Instead of such an exception, which is its cause.
    """
    try:
        yield
    except (concurrent.futures.CancelledError, StopIteration) as error:
        raise _converted(error) from error
    except Exception:
        raise
    except BaseException as error:
        raise _converted(error) from error


@contextmanager
def contained_async() -> Iterator[None]:
    """The same for code that awaits: the cancellation of its own task is passed on unchanged.

    Raises:
        RuntimeError: Instead of such an exception, which is its cause.
    """
    try:
        yield
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise _converted(error) from error


def _converted(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__} was raised: {error}")

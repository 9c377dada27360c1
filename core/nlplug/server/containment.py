"""Keeps one request's failure from ending the thread or the server that answers others."""

from __future__ import annotations

import concurrent.futures
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager

AWAITING = (CancelledError, GeneratorExit)
"""What ends code that awaits from outside."""


@contextmanager
def contained(*passed: type[BaseException]) -> Iterator[None]:
    """Convert exceptions that would end a thread or a request to ordinary errors of the request.

    Models and plugins may raise SystemExit or KeyboardInterrupt, a panic in Rust is a BaseException
    too, and asyncio takes a CancelledError or StopIteration of theirs for its own.

    Args:
        *passed: Exceptions that are passed on unchanged: `AWAITING` in code that awaits,
            GeneratorExit in code that yields.

    Raises:
        RuntimeError: Instead of such an exception, which is its cause.
    """
    try:
        yield
    except passed:
        raise
    except (concurrent.futures.CancelledError, StopIteration) as error:
        raise _converted(error) from error
    except Exception:
        raise
    except BaseException as error:
        raise _converted(error) from error


def _converted(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__} was raised: {error}")

"""The descriptor of stdout, which only the output of a command is written to."""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def own_stdout() -> Iterator[None]:
    """Keep stdout for ``sys.stdout``: what is written to its descriptor otherwise goes to stderr.

    Libraries in C, child processes and ``sys.__stdout__`` write to the descriptor itself. What
    plugins print when the interpreter exits goes to stderr too. Nothing changes where
    ``sys.stdout`` is another stream, or stdout or stderr is closed.
    """
    stdout = sys.__stdout__
    ours = _moved(stdout) if stdout is sys.stdout else None
    if stdout is None or ours is None:
        yield
        return
    sys.stdout = stream = io.TextIOWrapper(
        os.fdopen(ours, "wb"),
        encoding=stdout.encoding,
        errors=stdout.errors,
        line_buffering=stdout.line_buffering,
        write_through=stdout.write_through,
    )
    try:
        yield
    finally:
        with suppress(OSError):  # the reader has gone, or the disk is full, which was told before
            stream.flush()
        os.dup2(ours, 1)
        sys.stdout = stdout
        atexit.unregister(_leave)
        atexit.register(_leave)  # the last one that is registered runs first


def _leave() -> None:
    """Lead stdout to stderr at the exit of the interpreter, before functions of plugins run."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(2, 1)
    sys.stdout = sys.stderr


def _moved(stdout: io.TextIOWrapper | None) -> int | None:
    """Another descriptor of stdout, after which that of the stream leads to stderr."""
    try:
        if stdout is None or stdout.fileno() != 1:
            return None
        os.fstat(2)
        stdout.flush()
        ours = os.dup(1)
    except OSError:
        return None
    os.dup2(2, 1)
    return ours

"""The standard streams of a command; only its output is written to the descriptor of stdout."""

from __future__ import annotations

import atexit
import codecs
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def open_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Python has None for these; the next file that is opened would get their descriptor.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it stays


@contextmanager
def own_stdout() -> Iterator[None]:
    """Keep stdout for ``sys.stdout``: what is written to its descriptor otherwise goes to stderr.

    Libraries in C, child processes and ``sys.__stdout__`` write to the descriptor itself. What
    plugins print when the interpreter exits goes to stderr too. Characters that the encoding of
    stdout lacks are written as in JSON (``\\u4e2d``). Nothing changes where ``sys.stdout`` is
    another stream, or stdout or stderr is closed.
    """
    stdout = sys.__stdout__
    ours = _moved(stdout) if stdout is sys.stdout else None
    if stdout is None or ours is None:
        yield
        return
    sys.stdout = stream = io.TextIOWrapper(
        os.fdopen(ours, "wb"),
        encoding=stdout.encoding,
        errors=stdout.errors if codecs.lookup(stdout.encoding).name == "utf-8" else _ESCAPE,
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


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


_ESCAPE = "nlplug.json"
codecs.register_error(_ESCAPE, _escaped)


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

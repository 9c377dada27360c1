"""SIGTERM and SIGHUP end a command as Ctrl-C does: what it was writing is kept whole or removed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Ended(KeyboardInterrupt):
    """A signal that ends the command.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def deliver(self) -> None:
        """End the process by the signal, so that its parent sees which one it was."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        signal.raise_signal(self.number)


@contextmanager
def ending_signals() -> Iterator[None]:
    """A block that SIGTERM and SIGHUP end by an exception instead of at once.

    A signal that the process ignores, as SIGHUP under ``nohup``, stays ignored; one that has a
    handler keeps it.

    Raises:
        Ended: A signal was received.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    numbers = [number for number in known if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended(number)

"""The answers of one call as they are read, and how whoever no longer wants them ends the work."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError
from threading import Event
from typing import Any


class Answers(Iterator[Any]):
    """The answers of one call, in order; the work is done while they are read.

    Closing them ends the work, in the thread that reads them; `cancel` does it from any other.

    Args:
        steps: Gives the answers, and looks at ``stop`` again and again.
        stop: Set once nobody wants them.
    """

    def __init__(self, steps: Generator[Any, None, None], stop: Event) -> None:
        self._steps = steps
        self._stop = stop

    def __next__(self) -> Any:
        """The next answer.

        Raises:
            CancelledError: They were cancelled.
        """
        return next(self._steps)

    def cancel(self) -> None:
        """End the work with the batches or tokens that are computed now; for any thread."""
        self._stop.set()

    def close(self) -> None:
        """End the work; for the thread that reads the answers."""
        self._stop.set()
        self._steps.close()


def go_on(stop: Event) -> None:
    """Do nothing, unless the work is to end.

    Raises:
        CancelledError: It is.
    """
    if stop.is_set():
        raise CancelledError

"""The answers in progress, and requests to end them."""

from __future__ import annotations

from enum import Enum
from threading import Lock


class Ending(Enum):
    """Why an answer ends early."""

    STOPPED = "stopped"
    """The partial text is shown as the answer."""
    CLEARED = "cleared"
    """The answer is removed from the page."""
    REPLACED = "replaced"
    """Another answer has replaced it."""


class Run:
    """One answer in progress.

    Attributes:
        ending: Why the answer shall end; None while it may continue.
    """

    ending: Ending | None = None


class Runs:
    """The answers of one page, one per visitor. Thread-safe."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = Lock()

    def start(self, visitor: str) -> Run:
        """Start an answer; it replaces the visitor's answer in progress."""
        run = Run()
        with self._lock:
            if (before := self._runs.get(visitor)) is not None:
                before.ending = Ending.REPLACED
            self._runs[visitor] = run
        return run

    def end(self, visitor: str, ending: Ending) -> None:
        """Request the end of a visitor's answer, if there is one."""
        with self._lock:
            if (run := self._runs.get(visitor)) is not None:
                run.ending = ending

    def busy(self, visitor: str) -> bool:
        """Whether an answer of the visitor is in progress."""
        return visitor in self._runs

    def done(self, visitor: str, run: Run) -> None:
        """Remove an answer that has ended."""
        with self._lock:
            if self._runs.get(visitor) is run:
                del self._runs[visitor]

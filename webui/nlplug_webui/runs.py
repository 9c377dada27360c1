"""Which answers are being made, and which of them somebody wants to end."""

from __future__ import annotations

from enum import Enum
from threading import Lock


class Ending(Enum):
    """Why an answer ends before it is whole."""

    STOPPED = "stopped"
    """What is there is shown as the answer."""
    CLEARED = "cleared"
    """Nothing of it is to be seen any more."""
    REPLACED = "replaced"
    """Another answer has its place already."""


class Run:
    """One answer under way.

    Attributes:
        ending: Set when it is to end, to why.
    """

    ending: Ending | None = None


class Runs:
    """The answers of one page by visitor, one each; safe to use from several threads."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = Lock()

    def start(self, visitor: str) -> Run:
        """A new answer, in the place of whatever this visitor had under way."""
        run = Run()
        with self._lock:
            if (before := self._runs.get(visitor)) is not None:
                before.ending = Ending.REPLACED
            self._runs[visitor] = run
        return run

    def end(self, visitor: str, ending: Ending) -> None:
        """Have a visitor's answer end, if there is one."""
        with self._lock:
            if (run := self._runs.get(visitor)) is not None:
                run.ending = ending

    def busy(self, visitor: str) -> bool:
        """Whether a visitor has an answer under way."""
        return visitor in self._runs

    def done(self, visitor: str, run: Run) -> None:
        """Forget an answer that has ended."""
        with self._lock:
            if self._runs.get(visitor) is run:
                del self._runs[visitor]

"""Contenders against one another: a process each, in turns, measured while nobody else runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from quiet import foreign_share, own_cpu, usage, wait_until_quiet

HERE = Path(__file__).parent
FOREIGN_LIMIT = 0.04
"""Share of the CPUs that others may use during a measurement; above it, it is repeated."""


class ContenderFailed(RuntimeError):
    """A contender's process reported an error or died."""


class Process:
    """The parent's end of one worker."""

    def __init__(self, name: str, work: Path, log: Path) -> None:
        self.name = name
        self._log = log.open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), name, str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answer()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process died"}
        if "error" in answer:
            raise ContenderFailed(f"{self.name}: {answer['error']} (see {self._log.name})")
        return answer

    def close(self) -> None:
        """End the worker."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


@dataclass
class Record:
    """The measurements of one contender.

    Attributes:
        settings: Those it competes with, the best of its sweep.
        sweep: What the sweep gave, texts a second by settings.
        values: One value a round (texts a second), or one a call (seconds).
        foreign: The share of the CPUs that others used, a round.
        scores: The answers of the first round.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    sweep: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def dirty(self) -> int:
        """How many measurements stayed above the limit after all repeats."""
        return sum(share > FOREIGN_LIMIT for share in self.foreign)


@contextmanager
def processes(names: Sequence[str], work: Path, log: Path) -> Iterator[dict[str, Process]]:
    """All the contenders' processes, started one after another and ended together."""
    running: dict[str, Process] = {}
    try:
        for name in names:
            running[name] = Process(name, work, log)
        yield running
    finally:
        for process in running.values():
            process.close()


def measured(
    process: Process, command: str, *, repeats: int, patience: float, **arguments: Any
) -> tuple[dict[str, Any], float]:
    """One measurement and the foreign share during it; repeated while the machine is not quiet.

    Args:
        process: The contender.
        command: ``go`` or ``one``.
        repeats: How often a dirty measurement is tried again; the cleanest one is kept.
        patience: Seconds to wait for a quiet moment before each try.
    """
    best: tuple[dict[str, Any], float] | None = None
    for attempt in range(repeats + 1):
        if attempt:
            wait_until_quiet(FOREIGN_LIMIT, patience)
        before, own = usage(), own_cpu()
        answer = process.ask(command, **arguments)
        share = foreign_share(before, usage(), own_cpu() - own + answer["cpu"])
        if best is None or share < best[1]:
            best = answer, share
        if share <= FOREIGN_LIMIT:
            break
    assert best is not None
    return best


def turns(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """The order of each round: rotated, so that nobody always follows the same neighbour first."""
    for number in range(rounds):
        shift = number % len(names)
        yield [*names[shift:], *names[:shift]]

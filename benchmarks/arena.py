"""Runs contenders in alternating order, one process per contender, and measures one at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from quiet import Patience, foreign_share, own_cpu, usage

HERE = Path(__file__).parent
FOREIGN_LIMIT = 0.04
"""Share of the CPUs that others may use during a measurement. Above it the measurement is repeated
while the run has patience left, else the round counts as disturbed."""


class ContenderFailed(RuntimeError):
    """A contender's process reported an error or died."""


class Process:
    """The parent's end of one worker."""

    def __init__(
        self,
        name: str,
        work: Path,
        log: Path,
        python: Path | None = None,
        cpu: int | None = None,
    ) -> None:
        self.name = name
        self._log = log.open("a", encoding="utf-8")
        bound = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
        self._process = subprocess.Popen(
            [*bound, str(python or sys.executable), str(HERE / "worker.py"), name, str(work)],
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
        sweep: Results of the sweep: texts or tokens per second by settings.
        values: One value per round (texts or tokens per second), or one per call (seconds).
        foreign: The share of the CPUs that others used, a round.
        answers: The answers of the first round.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    sweep: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def dirty(self) -> int:
        """Number of disturbed rounds."""
        return sum(share > FOREIGN_LIMIT for share in self.foreign)


@contextmanager
def processes(
    names: Sequence[str],
    work: Path,
    log: Path,
    pythons: Mapping[str, Path] | None = None,
    failed: dict[str, str] | None = None,
) -> Iterator[dict[str, Process]]:
    """All the contenders' processes, started one after another and ended together.

    Args:
        names: Of the contenders.
        work: Where the models are.
        log: Where the processes write what they have to say.
        pythons: The interpreters of those that have one of their own.
        failed: Gets those that do not start, and why; without it, that is an error.

    Raises:
        ContenderFailed: One does not start.
    """
    running: dict[str, Process] = {}
    try:
        for name in names:
            try:
                running[name] = Process(name, work, log, (pythons or {}).get(name))
            except ContenderFailed as error:
                if failed is None:
                    raise
                failed[name] = str(error)
        yield running
    finally:
        for process in running.values():
            process.close()


def measured(
    process: Process, command: str, *, patience: Patience, **arguments: Any
) -> tuple[dict[str, Any], float]:
    """One measurement, and the share of the CPUs that others used; see `Patience.cleanest`.

    Args:
        process: The contender.
        command: ``go``, ``one`` or ``pace``.
        patience: Of the run.
        **arguments: Of the command.
    """

    def once() -> tuple[dict[str, Any], float]:
        before, own = usage(), own_cpu()
        answer = process.ask(command, **arguments)
        return answer, foreign_share(before, usage(), own_cpu() - own + answer["cpu"])

    return patience.cleanest(once, FOREIGN_LIMIT)


def turns(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """The order of each round: rotated, so that nobody always follows the same neighbour first."""
    for number in range(rounds):
        shift = number % len(names)
        yield [*names[shift:], *names[:shift]]

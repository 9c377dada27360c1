"""What one model answers at a time, and how it is broken off when nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.runtime.answers import Answers
    from nlplug.task import TaskInput


@dataclass(eq=False)
class Job:
    """One request: its inputs and the answers so far."""

    inputs: Sequence[TaskInput]
    options: Mapping[str, Any]
    future: Future[list[Any]] = field(default_factory=Future)
    answers: list[Any] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Share:
    """The inputs of a request that one batch takes."""

    job: Job
    inputs: Sequence[TaskInput]

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for the answers any more."""
        return self.job.future.cancelled()

    def size(self) -> int:
        """About how much work it is: characters."""
        values = (value for item in self.inputs for value in vars(item).values())
        return len(self.inputs) + sum(len(value) for value in values if isinstance(value, str))


class Batch:
    """Shares of requests with the same options, answered together once.

    Args:
        shares: At least one.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self.shares = shares
        self.inputs = [item for share in shares for item in share.inputs]
        self._answers: Answers | None = None
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether it was broken off, so that there are no answers."""
        return self._stopped

    def run(self, model: Pipeline) -> list[list[Any]]:
        """The answers, a list a share.

        Raises:
            CancelledError: It was stopped.
            Exception: Whatever the model raises, and anything once it was stopped.
        """
        answers = model.answers(self.inputs, **self.shares[0].job.options)
        self._answers = answers  # before the first look at `stopped`, as stop() sets that first
        steps = self._steps(answers)
        try:
            return [list(islice(steps, len(share.inputs))) for share in self.shares]
        finally:
            answers.close()

    def stop(self) -> None:
        """Break it off; may be called from any thread."""
        self._stopped = True
        if self._answers is not None:
            self._answers.cancel()

    def reconsider(self) -> None:
        """Break it off if most of the work is for nobody; may be called from any thread.

        Whoever still waits has to be answered by another batch. As that is smaller by half at
        least, all of it together is never twice the work, however many give up.
        """
        lost = sum(share.size() for share in self.shares if share.given_up)
        kept = sum(share.size() for share in self.shares if not share.given_up)
        if lost > kept:
            self.stop()

    def _steps(self, answers: Iterator[Any]) -> Iterator[Any]:
        while True:
            if self._stopped:
                raise CancelledError
            try:
                answer = next(answers)
            except StopIteration:
                return
            yield answer

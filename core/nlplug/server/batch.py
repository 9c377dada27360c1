"""One batch of a model, and its cancellation when no client waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.heard_warnings import heard
from nlplug.runtime.answers import ShortTexts
from nlplug.runtime.batching import length

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.runtime.answers import Answers
    from nlplug.task import TaskInput


@dataclass(eq=False)
class Job:
    """One request: its inputs, the answers so far, and what its client has to know of them."""

    inputs: Sequence[TaskInput]
    options: Mapping[str, Any]
    future: Future[list[Any]] = field(default_factory=Future)
    answers: list[Any] = field(default_factory=list)
    short: ShortTexts = field(default_factory=ShortTexts)
    notices: list[str] = field(default_factory=list)

    @cached_property
    def kind(self) -> str:
        """The options as a key: requests with the same one share a batch."""
        return repr(sorted(self.options.items()))

    def add(self, answers: Sequence[Any], short: ShortTexts, notices: Sequence[str]) -> bool:
        """Add the answers of a part, and what is to know of them; returns whether all are there."""
        self.answers.extend(answers)
        self.short.found += short.found
        self.notices += [one for one in notices if one not in self.notices]
        whole = len(self.answers) == len(self.inputs)
        if whole:
            self.notices += self.short.messages()
        return whole

    def next(self, most: int, characters: int) -> Share:
        """The next inputs to answer, one at least.

        Args:
            most: Largest number of inputs.
            characters: Number of characters after which no further input is taken.
        """
        first = len(self.answers)
        end = first
        while end < min(first + most, len(self.inputs)) and characters > 0:
            characters -= length(self.inputs[end])
            end += 1
        return Share(self, self.inputs[first:end])


@dataclass(frozen=True, eq=False)
class Share:
    """The inputs of one request in one batch."""

    job: Job
    inputs: Sequence[TaskInput]

    @property
    def given_up(self) -> bool:
        """Whether no client waits for the answers any more."""
        return self.job.future.cancelled()

    @property
    def last(self) -> bool:
        """Whether no input of the request is left after these."""
        return len(self.job.answers) + len(self.inputs) == len(self.job.inputs)

    def size(self) -> int:
        """Estimated amount of work, in characters."""
        return len(self.inputs) + sum(map(length, self.inputs))


class Batch:
    """Shares of requests with the same options, answered together.

    Args:
        shares: At least one.

    Attributes:
        notices: What the model warned of, which concerns all shares: their options are the same.
        started: When it was made, on the clock `time.monotonic`.
        size: Estimated amount of work, in characters.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self.shares = shares
        self.started = monotonic()
        self.size = sum(share.size() for share in shares)
        self.notices: list[str] = []
        self.inputs = [item for share in shares for item in share.inputs]
        self._answers: Answers | None = None
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the batch was cancelled and has no answers."""
        return self._stopped

    def run(self, model: Pipeline) -> list[tuple[list[Any], ShortTexts]]:
        """The answers of each share, and the texts among them that ended at a limit.

        Raises:
            CancelledError: The batch was stopped.
            Exception: Any error of the model.
        """
        answers = model.answers(self.inputs, **self.shares[0].job.options)
        self._answers = answers  # before the first check of `stopped`, because stop() sets it first
        steps = self._steps(answers)
        try:
            with heard(self.notices):
                return [
                    (list(islice(steps, len(share.inputs))), answers.short.take())
                    for share in self.shares
                ]
        finally:
            answers.close()

    def stop(self) -> None:
        """Stop the batch; may be called from any thread."""
        self._stopped = True
        if self._answers is not None:
            self._answers.cancel()

    def reconsider(self) -> None:
        """Stop the batch if most of its work is not needed; may be called from any thread.

        Clients that still wait are answered by another batch. That batch is at most half as large,
        so the total work is never doubled, however many clients give up.
        """
        lost = sum(share.size() for share in self.shares if share.given_up)
        kept = sum(share.size() for share in self.shares if not share.given_up)
        if lost > kept:
            self.stop()

    def _steps(self, answers: Iterator[Any]) -> Iterator[Any]:
        self._raise_if_stopped()
        for answer in answers:
            yield answer
            self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            raise CancelledError

"""Evaluates a model on a file of labelled rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import DataError
from nlplug.evaluation.base import Evaluation, evaluation_of, options_of

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.evaluation.base import Sample
    from nlplug.pipelines import Pipeline


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of a run, and how they were measured.

    Attributes:
        evaluation: Formats the report.
        report: All numbers.
        task: Name of the task.
        model: Name of the model.
        precision: Precision of the model.
        device: Device that the model ran on.
        data: Name of the file.
        seconds: Wall time of the run.
    """

    evaluation: Evaluation
    report: dict[str, Any]
    task: str
    model: str
    precision: str
    device: str
    data: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "task": self.task,
            "model": self.model,
            "precision": self.precision,
            "device": self.device,
            "data": self.data,
            "seconds": round(self.seconds, 3),
            "metric": self.evaluation.metric,
            **self.report,
        }


def evaluate(
    pipe: Pipeline,
    data: Path | DataFile,
    *,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
    **columns: str,
) -> EvaluationResult:
    """Run a pipeline over a file and score its answers.

    The rows are streamed; only one answer and one target per row are kept in memory.

    Args:
        pipe: The model.
        data: A file with labels, and how to read it; its columns are those of the task's
            evaluation.
        limit: Maximum number of rows, from the beginning of the file.
        progress: Called after each row with the number of rows done.
        **columns: Names of columns in the file, such as ``text="review"``.

    Raises:
        DataError: A row cannot be used, or there are no rows; the message names file and line.
        OptionError: The family of the task has no scoring.
    """
    path = data if isinstance(data, Path) else data.path
    evaluation = evaluation_of(pipe.task, pipe.bundle.labels)
    options = options_of(pipe.task, evaluation, pipe.defaults).model_dump(exclude_unset=True)
    targets: list[Any] = []
    start = time.perf_counter()
    inputs = _inputs(evaluation.samples(data, **columns), targets, limit)
    answers = []
    for answer in evaluation.answers(pipe, inputs, options):
        answers.append(answer)
        if progress is not None:
            progress(len(answers))
    seconds = time.perf_counter() - start
    if not answers:
        raise DataError(f"{path} holds no rows.", hint="Give a file with labelled rows.")
    return EvaluationResult(
        evaluation=evaluation,
        report=evaluation.report(answers, targets),
        task=pipe.task.name,
        model=pipe.bundle.name,
        precision=pipe.precision,
        device=pipe.device,
        data=path.name,
        seconds=seconds,
    )


def _inputs(
    samples: Iterator[Sample], targets: list[Any], limit: int | None
) -> Iterator[dict[str, Any]]:
    for count, sample in enumerate(samples):
        if limit is not None and count >= limit:
            return
        targets.append(sample.target)
        yield sample.input

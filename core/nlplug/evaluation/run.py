"""Evaluates a model on a file of labelled rows."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import DataError, OptionError
from nlplug.evaluation.base import Evaluation, evaluation_of, options_of
from nlplug.evaluation.metrics import mean_interval
from nlplug.evaluation.noticed import Noticed, noticed, seen_before

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.evaluation.base import Sample
    from nlplug.models.bundle import Bundle
    from nlplug.models.manifest import Manifest
    from nlplug.pipelines import Pipeline

_ERRORS = 20
_LONGEST = 300
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        source: ``file:line``.
        input: The beginning of the input.
        truth: The right answer.
        answer: The answer of the model.
        score: The score that the model gave it; 0 if its answers have no scores.
    """

    source: str
    input: str
    truth: str
    answer: str
    score: float


@dataclass(frozen=True)
class Answered:
    """The answers of a model to labelled rows.

    Attributes:
        evaluation: Compares them with the right answers.
        answers: One per row.
        targets: The right answers.
        seconds: Wall time of the run.
        cpu_seconds: CPU time of the process during the run.
        noticed: What else is to know of the answers.
    """

    evaluation: Evaluation
    answers: list[Any]
    targets: list[Any]
    seconds: float
    cpu_seconds: float
    noticed: Noticed

    def interval(self, report: Mapping[str, Any]) -> tuple[float, float]:
        """The 95 % interval of the main metric.

        It is the one of the report, if the family computes one, else that of the mean of the
        contributions of the rows, around the metric.

        Args:
            report: The report of the evaluation.
        """
        metric = self.evaluation.metric
        if own := report.get(f"{metric}_interval"):
            return float(own[0]), float(own[1])
        score = float(report[metric])
        values = self.evaluation.per_example(self.answers, self.targets)
        low, high = mean_interval(values)
        mean, scale = float(values.mean()), self.evaluation.scale
        return score + scale * (low - mean), score + scale * (high - mean)


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
        interval: 95 % interval of the main metric.
        baselines: The main metric of trivial answers, by name.
        mistakes: Wrong answers, most confident first.
        size: Bytes of the graphs of the precision.
        sha256: Digest of the file; empty if the rows are not from a file.
        manifest: The manifest of the model, or None.
        noticed: What else is to know of the answers.
    """

    evaluation: Evaluation
    report: dict[str, Any]
    task: str
    model: str
    precision: str
    device: str
    data: str
    seconds: float
    interval: tuple[float, float]
    baselines: dict[str, float]
    mistakes: list[Mistake]
    size: int
    sha256: str
    manifest: Manifest | None = field(repr=False)
    noticed: Noticed = field(default_factory=Noticed)

    @property
    def score(self) -> float:
        """The main metric."""
        return float(self.report[self.evaluation.metric])

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "task": self.task,
            "model": self.model,
            "precision": self.precision,
            "device": self.device,
            "data": self.data,
            "sha256": self.sha256,
            "seconds": round(self.seconds, 3),
            "size": self.size,
            "metric": self.evaluation.metric,
            "interval": list(self.interval),
            "baselines": self.baselines,
            **self.report,
            "noticed": asdict(self.noticed),
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
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

    The rows are streamed; only one answer and one target per row are kept in memory. A file is read
    a second time for the texts of the wrong answers.

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
    run = answer(pipe, data, limit=limit, progress=progress, **columns)
    evaluation = run.evaluation
    report = evaluation.report(run.answers, run.targets)
    return EvaluationResult(
        evaluation=evaluation,
        report=report,
        task=pipe.definition.name,
        model=pipe.bundle.name,
        precision=pipe.precision,
        device=pipe.device,
        data=path.name,
        seconds=run.seconds,
        interval=run.interval(report),
        baselines=evaluation.baselines(run.targets),
        mistakes=_mistakes(run, data, columns),
        size=graph_size(pipe.bundle, pipe.precision),
        sha256=digest(path),
        manifest=pipe.bundle.manifest,
        noticed=run.noticed,
    )


def answer(
    pipe: Pipeline,
    data: Path | DataFile,
    options: Mapping[str, Any] | None = None,
    /,
    *,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
    **columns: str,
) -> Answered:
    """Run a pipeline over a file; see `evaluate`.

    Args:
        pipe: The model.
        data: The file.
        options: Options of the task that override those of the pipeline.
        limit: Maximum number of rows.
        progress: See `evaluate`.
        **columns: Names of columns in the file.

    Raises:
        DataError: A row cannot be used, or there are no rows; the message names file and line.
        OptionError: The family of the task has no scoring, or an option is invalid or has a fixed
            value during scoring.
    """
    evaluation = evaluation_of(pipe.definition, pipe.bundle.labels)
    own = dict(options or {})
    for name in own:
        if name in evaluation.options:
            raise OptionError(
                f"The option {name!r} is always {evaluation.options[name]!r} while answers are "
                "scored.",
                hint="Leave it out, or compare without right answers (--unlabelled).",
            )
    every = options_of(pipe.definition, evaluation, {**pipe.defaults, **own})
    options = every.model_dump(exclude_unset=True)
    targets: list[Any] = []
    start, cpu = time.perf_counter(), time.process_time()
    inputs = _inputs(evaluation.samples(data, **columns), targets, limit)
    given = evaluation.answers(pipe, inputs, options)
    answers = []
    for one in given:
        answers.append(one)
        if progress is not None:
            progress(len(answers))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    path = data if isinstance(data, Path) else data.path
    if not answers:
        raise DataError(f"{path} holds no rows.", hint="Give a file with labelled rows.")
    found = noticed(given)
    if seen := seen_before(pipe.bundle.manifest, digest(path)):
        found = replace(found, messages=[seen, *found.messages])
    return Answered(evaluation, answers, targets, seconds, cpu, found)


def samples_at(
    evaluation: Evaluation, data: Path | DataFile, indices: Sequence[int], columns: dict[str, str]
) -> dict[int, Sample]:
    """Read some rows of a file again; none if the rows come from a stream.

    Args:
        evaluation: Reads the rows.
        data: The file.
        indices: The rows, from 0.
        columns: Names of columns in the file.
    """
    if not isinstance(data, Path) and data.stream is not None:
        return {}
    wanted, last = set(indices), max(indices, default=-1)
    found = {}
    # A copy, because reading replaces the report of the file.
    for index, sample in enumerate(evaluation.samples(copy.copy(data), **columns)):
        if index > last:
            break
        if index in wanted:
            found[index] = sample
    return found


def shown(sample: Sample | None) -> str:
    """The beginning of an input: its texts, in the order of its fields."""
    values = [value for value in (sample.input if sample else {}).values() if value]
    texts = [" ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values]
    return shortened(" | ".join(texts))


def shortened(text: str) -> str:
    """A text on one line, with an ellipsis if it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def graph_size(bundle: Bundle, precision: str) -> int:
    """Bytes of the graphs of a precision, without external data."""
    files = (graphs.get(precision) for graphs in bundle.graphs.values())
    return sum(file.stat().st_size for file in files if file is not None)


def digest(path: Path) -> str:
    """The SHA-256 digest of a file in hexadecimal; empty if there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mistakes(run: Answered, data: Path | DataFile, columns: dict[str, str]) -> list[Mistake]:
    evaluation = run.evaluation
    wrong = evaluation.errors(run.answers, run.targets, _ERRORS)
    samples = samples_at(evaluation, data, wrong, columns)
    return [
        Mistake(
            samples[index].source if index in samples else "",
            shown(samples.get(index)),
            shortened(evaluation.truth(run.targets[index])),
            shortened(evaluation.decision(run.answers[index])),
            round(evaluation.confidence(run.answers[index]), 6),
        )
        for index in wrong
    ]


def _inputs(
    samples: Iterator[Sample], targets: list[Any], limit: int | None
) -> Iterator[dict[str, Any]]:
    for count, sample in enumerate(samples):
        if limit is not None and count >= limit:
            return
        targets.append(sample.target)
        yield sample.input

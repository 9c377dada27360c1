"""Two models, or two precisions of one, on the same labelled rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import DataError
from nlplug.evaluation.agreement import (
    DISAGREEMENTS,
    Difference,
    Pace,
    common_task,
    told_apart,
)
from nlplug.evaluation.base import Table
from nlplug.evaluation.document import Document, Section
from nlplug.evaluation.run import Answered, answer, digest, graph_size, samples_at, shortened, shown
from nlplug.export.paired import PairedLoss, paired_loss

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.pipelines import Pipeline

_WARM = 16
_LABELS = 10
"""Labels that an error lists."""


@dataclass(frozen=True)
class Side(Pace):
    """One of the models, with its score.

    Attributes:
        score: The main metric.
        interval: Its 95 % interval.
    """

    score: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Disagreement(Difference):
    """A row that the models answer differently, and its right answer.

    Attributes:
        truth: The right answer.
    """

    truth: str


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        task: Name of the task.
        data: Name of the file.
        sha256: Digest of the file.
        rows: Number of rows.
        metric: Name of the main metric.
        higher_is_better: Whether a higher metric is better.
        sides: The first and the second model.
        gain: Score of the second minus that of the first, with its 95 % interval.
        mcnemar: The two-sided p-value of McNemar's exact test; None if the rows are not just right
            or wrong.
        only: Number of rows that only the first, and only the second model has right; None as
            above.
        agreement: Share of the rows with the same answer.
        different: Number of rows with different answers.
        disagreements: The first of these, most confident first.
    """

    task: str
    data: str
    sha256: str
    rows: int
    metric: str
    higher_is_better: bool
    sides: tuple[Side, Side]
    gain: PairedLoss
    mcnemar: float | None
    only: tuple[int, int] | None
    agreement: float
    different: int
    disagreements: list[Disagreement]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)


def compare(
    first: Pipeline,
    second: Pipeline,
    data: Path | DataFile,
    *,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
    **columns: str,
) -> Comparison:
    """Run two pipelines over a file and compare their answers row by row.

    Args:
        first: One model.
        second: The other model, of the same task.
        data: A file with labels, and how to read it.
        limit: Maximum number of rows, from the beginning of the file.
        options: Options of the task for both models, such as the candidate labels of zero-shot
            classification.
        **columns: Names of columns in the file, such as ``text="review"``.

    Raises:
        OptionError: The models are of different tasks, the family has no scoring, or an option
            is invalid or has a fixed value during scoring.
        DataError: A row cannot be used, or not by one of the models, or its label is not the same
            to both; or there are no rows. The message names file and line.
    """
    task = common_task(first, second)
    path = data if isinstance(data, Path) else data.path
    pipes = (first, second)
    names = told_apart(first, second)
    warm = min(_WARM, limit or _WARM)
    runs: list[Answered] = []
    # The first rows after loading are slower, and are not timed.
    for file, most in ((copy.copy(data), warm), (data, limit)):
        runs = []
        for pipe, name in zip(pipes, names, strict=True):
            try:
                runs.append(answer(pipe, file, options, limit=most, progress=None, **columns))
            except DataError as error:
                raise _of_model(error, name, names, pipes) from None
    _check_truths(runs, names, data, columns)
    worths = [run.evaluation.per_example(run.answers, run.targets) for run in runs]
    evaluation = runs[0].evaluation
    sides = tuple(map(_side, names, pipes, runs))
    decisions = [[run.evaluation.decision(given) for given in run.answers] for run in runs]
    different = [i for i, pair in enumerate(zip(*decisions, strict=True)) if pair[0] != pair[1]]
    right = [worth == 1.0 for worth in worths]
    plain = all(bool(np.isin(worth, (0.0, 1.0)).all()) for worth in worths)
    only = (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    loss = paired_loss(worths[1], worths[0])
    scale = evaluation.scale
    return Comparison(
        task=task.name,
        data=path.name,
        sha256=digest(path),
        rows=len(worths[0]),
        metric=evaluation.metric,
        higher_is_better=evaluation.higher_is_better,
        sides=(sides[0], sides[1]),
        gain=PairedLoss(loss.mean * scale, loss.low * scale, loss.high * scale, loss.rows),
        mcnemar=mcnemar(*only) if plain else None,
        only=only if plain else None,
        agreement=1 - len(different) / len(worths[0]),
        different=len(different),
        disagreements=_disagreements(runs, decisions, different, data, columns),
    )


def mcnemar(first: int, second: int) -> float:
    """The two-sided p-value of McNemar's exact test (the binomial test of the discordant rows).

    Args:
        first: Rows that only the first model has right.
        second: Rows that only the second model has right.
    """
    count = first + second
    tail = sum(math.comb(count, k) for k in range(min(first, second) + 1))
    return min(1.0, float(2 * tail / 2**count))


def document(result: Comparison) -> Document:
    """The report of a comparison."""
    first, second = result.sides
    gain = result.gain
    verdict = (
        f"{second.name} minus {first.name}: {result.metric} {gain.mean:+.4f} "
        f"(95 % interval {gain.low:+.4f} to {gain.high:+.4f}, {result.rows:,} rows)"
    )
    if gain.low > 0 or gain.high < 0:
        better = second if (gain.mean > 0) == result.higher_is_better else first
        verdict += f": {better.name} is better."
    else:
        verdict += ": no difference that these rows can show."
    rows: list[list[Any]] = [
        [
            side.name,
            side.score,
            f"{side.interval[0]:.4f} to {side.interval[1]:.4f}",
            f"{side.size / 1e6:.2f} MB",
            f"{side.rate:,.0f}",
            f"{side.cpu * 1000:.2f}",
        ]
        for side in result.sides
    ]
    header = ["model", result.metric, "95 % interval", "size", "rows/s", "CPU ms per row"]
    beside = Section("Side by side", table=Table("", header, rows), brief=True)
    facts: list[list[Any]] = [
        ["same answer", f"{result.agreement:.2%}"],
        ["different answers", result.different],
    ]
    if result.only is not None and result.mcnemar is not None:
        facts += [
            [f"only {first.name} right", result.only[0]],
            [f"only {second.name} right", result.only[1]],
            ["McNemar's exact test, p", f"{result.mcnemar:.3g}"],
        ]
    sections = [beside, Section("Agreement", table=Table("", ["", "value"], facts), brief=True)]
    if result.disagreements:
        sections.append(_table(result))
    return Document(
        title=f"{first.name} and {second.name} on {result.data}",
        summary=[
            verdict,
            f"{result.task}: {result.rows:,} rows of {result.data}",
            *dict.fromkeys(line for side in result.sides for line in side.lines()),
        ],
        sections=sections,
        values=result.to_dict(),
    )


def _table(result: Comparison) -> Section:
    first, second = result.sides
    scored = any(any(item.scores) for item in result.disagreements)
    header = ["truth", first.name, *(["score"] if scored else [])]
    header += [second.name, *(["score"] if scored else []), "input"]
    rows = [
        [
            item.truth,
            item.answers[0],
            *([item.scores[0]] if scored else []),
            item.answers[1],
            *([item.scores[1]] if scored else []),
            item.input,
        ]
        for item in result.disagreements
    ]
    title = f"Different answers ({len(rows):,} of {result.different:,}, most confident first)"
    return Section(title, table=Table("", header, rows))


def _of_model(
    error: DataError, name: str, names: Sequence[str], pipes: Sequence[Pipeline]
) -> DataError:
    """The error of a row, with the model that refuses it if the models have other labels."""
    known = [pipe.bundle.labels for pipe in pipes]
    only = [[label for label in own if label not in known[1 - at]] for at, own in enumerate(known)]
    if not any(only):
        return error
    differences = "; ".join(
        f"{model} alone has {', '.join(map(repr, labels[:_LABELS]))}"
        f"{', …' * (len(labels) > _LABELS)}"
        for model, labels in zip(names, only, strict=True)
        if labels
    )
    hint = f"{error.hint or ''} The labels of the models differ: {differences}.".strip()
    return DataError(f"{name} cannot be scored on {error.message}", hint=hint)


def _check_truths(
    runs: Sequence[Answered],
    names: Sequence[str],
    data: Path | DataFile,
    columns: dict[str, str],
) -> None:
    """Check that the right answers are the same to both models.

    Raises:
        DataError: A row has the id of a label, which the models have at different places.
    """
    first, second = ([run.evaluation.truth(target) for target in run.targets] for run in runs)
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        if one != other:
            sample = samples_at(runs[0].evaluation, data, [index], columns).get(index)
            raise DataError(
                f"{sample.source if sample else f'row {index + 1}'}: the right answer is {one!r} "
                f"to {names[0]}, and {other!r} to {names[1]}.",
                hint="The models have their labels in another order. Write the names of the "
                "labels, not their ids.",
            )


def _side(name: str, pipe: Pipeline, run: Answered) -> Side:
    report = run.evaluation.report(run.answers, run.targets)
    rows = len(run.answers)
    return Side(
        name=name,
        score=float(report[run.evaluation.metric]),
        interval=run.interval(report),
        size=graph_size(pipe.bundle, pipe.precision),
        rate=rows / run.seconds if run.seconds else 0.0,
        cpu=run.cpu_seconds / rows,
        noticed=run.noticed,
    )


def _disagreements(
    runs: Sequence[Answered],
    decisions: Sequence[Sequence[str]],
    different: Sequence[int],
    data: Path | DataFile,
    columns: dict[str, str],
) -> list[Disagreement]:
    evaluation = runs[0].evaluation

    def scores(index: int) -> tuple[float, float]:
        first, second = (run.evaluation.confidence(run.answers[index]) for run in runs)
        return round(first, 6), round(second, 6)

    chosen = sorted(different, key=lambda index: -max(scores(index)))[:DISAGREEMENTS]
    samples = samples_at(evaluation, data, chosen, columns)
    return [
        Disagreement(
            samples[index].source if index in samples else "",
            shown(samples.get(index)),
            (shortened(decisions[0][index]), shortened(decisions[1][index])),
            scores(index),
            shortened(evaluation.truth(runs[0].targets[index])),
        )
        for index in chosen
    ]

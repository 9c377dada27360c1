"""Two models, or two precisions of one, on the same rows without right answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from nlplug.errors import DataError, OptionError
from nlplug.evaluation.base import Table
from nlplug.evaluation.document import Document, Section
from nlplug.evaluation.noticed import Noticed, noticed
from nlplug.evaluation.run import graph_size, shortened
from nlplug.inputs import read_inputs
from nlplug.results import answer_rows

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task

DISAGREEMENTS = 50
"""Largest number of different answers in a report."""


@dataclass(frozen=True)
class Pace:
    """One of the models.

    Attributes:
        name: Its name, with the precision.
        size: Bytes of the graphs.
        rate: Rows per second.
        cpu: CPU time per row, in seconds.
        noticed: What else is to know of its answers.
    """

    name: str
    size: int
    rate: float
    cpu: float
    noticed: Noticed

    def lines(self) -> list[str]:
        """What else is to know, as lines of a report."""
        return [f"{self.name}: {line}" for line in self.noticed.lines()]


@dataclass(frozen=True)
class Difference:
    """A row that the models answer differently.

    Attributes:
        source: ``file:line``.
        input: The beginning of the input.
        answers: The answers of the first and of the second model.
        scores: The scores that the models gave them; 0 if answers have no scores.
    """

    source: str
    input: str
    answers: tuple[str, str]
    scores: tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """How often two models give the same answer.

    Attributes:
        task: Name of the task.
        data: Name of the file.
        rows: Number of rows.
        sides: The first and the second model.
        agreement: Share of the rows with the same answer; scores may differ.
        different: Number of rows with different answers.
        disagreements: The first of these, most confident first.
    """

    task: str
    data: str
    rows: int
    sides: tuple[Pace, Pace]
    agreement: float
    different: int
    disagreements: list[Difference]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(self)


def common_task(first: Pipeline, second: Pipeline) -> Task:
    """The task of both models.

    Raises:
        OptionError: They are of different tasks.
    """
    task, other = first.definition, second.definition
    if task.name != other.name:
        raise OptionError(
            f"The models are for different tasks, {task.name!r} and {other.name!r}.",
            hint="Compare models of one task, or name one for both by --task.",
        )
    return task


def told_apart(first: Pipeline, second: Pipeline) -> tuple[str, str]:
    """The names of two models with their precisions; with their folders if these are the same."""
    pipes = (first, second)
    one, other = (f"{pipe.bundle.name}@{pipe.precision}" for pipe in pipes)
    if one == other and first.bundle.path != second.bundle.path:
        one, other = (f"{pipe.bundle.path}@{pipe.precision}" for pipe in pipes)
    return one, other


def agreement(
    first: Pipeline,
    second: Pipeline,
    data: DataFile,
    *,
    limit: int | None = None,
    text_column: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Agreement:
    """Run two pipelines over a file and count the rows with the same answer.

    The file needs no right answers. Of labels with scores the first one is compared, of other
    answers everything but the scores.

    Args:
        first: One model.
        second: The other model, of the same task.
        data: A file of inputs, as for a batch.
        limit: Maximum number of rows, from the beginning of the file.
        text_column: Column with the first field of the input; None: the column of its name.
        options: Options of the task for both models.

    Raises:
        OptionError: The models are of different tasks, or an option is invalid.
        DataError: The file cannot be read, or there are no rows.
        InputError: A row cannot be answered; the message names file and line.
    """
    task = common_task(first, second)
    rows = list(islice(read_inputs(task, data, text_column=text_column), limit))
    if not rows:
        raise DataError(f"{data.path} holds no rows.", hint="Give a file with rows of inputs.")
    inputs = [dict(row.values) for row in rows]
    names = told_apart(first, second)
    (one, given), (other, also) = (
        _answered(name, pipe, inputs, options or {})
        for name, pipe in zip(names, (first, second), strict=True)
    )
    pairs = list(zip(given, also, strict=True))
    different = [place for place, (a, b) in enumerate(pairs) if a[0] != b[0]]
    chosen = sorted(different, key=lambda place: -max(score for _, score in pairs[place]))
    return Agreement(
        task=task.name,
        data=data.path.name,
        rows=len(rows),
        sides=(one, other),
        agreement=1 - len(different) / len(rows),
        different=len(different),
        disagreements=[
            Difference(
                f"{data.path.name}:{rows[place].row.line}",
                shortened(" | ".join(map(str, filter(None, inputs[place].values())))),
                (shortened(pairs[place][0][0]), shortened(pairs[place][1][0])),
                (round(pairs[place][0][1], 6), round(pairs[place][1][1], 6)),
            )
            for place in chosen[:DISAGREEMENTS]
        ],
    )


def document(result: Agreement) -> Document:
    """The report of a comparison without right answers."""
    first, second = (side.name for side in result.sides)
    paces: list[list[Any]] = [
        [side.name, f"{side.size / 1e6:.2f} MB", f"{side.rate:,.0f}", f"{side.cpu * 1000:.2f}"]
        for side in result.sides
    ]
    sections = [
        Section(
            "Side by side",
            table=Table("", ["model", "size", "rows/s", "CPU ms per row"], paces),
            brief=True,
        )
    ]
    if result.disagreements:
        scored = any(any(one.scores) for one in result.disagreements)
        score = ["score"] if scored else []
        rows: list[list[Any]] = [
            [
                one.source,
                *(
                    value
                    for answer, number in zip(one.answers, one.scores, strict=True)
                    for value in (answer, number)[: 1 + scored]
                ),
                one.input,
            ]
            for one in result.disagreements
        ]
        header = ["row", first, *score, second, *score, "input"]
        title = f"Different answers ({len(rows):,} of {result.different:,}, most confident first)"
        sections.append(Section(title, table=Table("", header, rows)))
    return Document(
        title=f"{first} and {second} on {result.data}",
        summary=[
            f"{first} and {second} give the same answer to {result.agreement:.2%} of "
            f"{result.rows:,} rows; "
            f"{result.different:,} answer{' differs' if result.different == 1 else 's differ'}.",
            f"{result.task}: {result.rows:,} rows of {result.data}, without right answers",
            *dict.fromkeys(line for side in result.sides for line in side.lines()),
        ],
        sections=sections,
        values=result.to_dict(),
    )


Decided = tuple[str, float]
"""The decision of an answer as a text, and its score."""


def _answered(
    name: str, pipe: Pipeline, inputs: list[dict[str, Any]], options: Mapping[str, Any]
) -> tuple[Pace, list[Decided]]:
    """The pace of a model, and its decisions."""
    # The first call after loading is slower, and is not timed.
    list(pipe.answers([dict(inputs[0])], **options))
    start, cpu = time.perf_counter(), time.process_time()
    answers = pipe.answers(inputs, **options)
    decided = [_decided(pipe.definition, answer) for answer in answers]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    pace = Pace(
        name=name,
        size=graph_size(pipe.bundle, pipe.precision),
        rate=len(inputs) / seconds if seconds else 0.0,
        cpu=cpu / len(inputs),
        noticed=noticed(answers),
    )
    return pace, decided


def _decided(task: Task, answer: Any) -> Decided:
    rows = answer_rows(task, answer)
    if rows and all("label" in row and "score" in row for row in rows):  # labels, best first
        return str(rows[0]["label"]), float(rows[0]["score"])
    texts = [str(value) for row in rows for value in row.values() if type(value) is not float]
    scores = [value for row in rows for value in row.values() if type(value) is float]
    return " | ".join(texts), max(scores, default=0.0)

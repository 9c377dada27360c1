"""The scoring of a family, which the quality gate and ``nlplug evaluate`` use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.errors import OptionError
from nlplug.families.family import load
from nlplug.validation import make_options

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.pipelines import Pipeline
    from nlplug.task import Task, TaskOptions


@dataclass(slots=True)
class Sample:
    """One labelled row.

    Attributes:
        input: The input of the pipeline.
        target: The right answer, in a form that the evaluation defines.
        source: ``file:line``.
    """

    input: dict[str, Any]
    target: Any
    source: str


class Evaluation(ABC):
    """Compares answers with the right answers.

    Args:
        labels: The model's labels in the order of their ids; empty for tasks without labels.
    """

    metric: ClassVar[str]
    """Name of the main metric in the report; `per_example` has its scale divided to 0 to 1."""
    higher_is_better: ClassVar[bool] = True
    """Whether a higher ``metric`` is better."""
    scale: ClassVar[float] = 1.0
    """The metric of a perfect answer, if `per_example` gives 1 for it: 100 for percentages."""
    errors_title: ClassVar[str] = "Most confident errors"
    """Title of the table of wrong answers; see `confidence`."""

    options: Mapping[str, Any] = {}
    """Options to run the pipeline with."""
    target_columns: ClassVar[Sequence[str]] = ("label", "labels")
    """Columns with right answers; a file has one of them."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = list(labels)

    def configure(self, options: TaskOptions) -> None:  # noqa: B027 - most evaluations need no options
        """Receive the options of the run; called before all other methods.

        Args:
            options: All options: defaults of the task, defaults of the model, and ``self.options``.
        """

    @abstractmethod
    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """The labelled rows of a file.

        Args:
            path: The file.
            **columns: Names of columns in the file that differ from the default ones.

        Raises:
            DataError: A row that cannot be used; the message names file and line.
            OptionError: A column name that the evaluation does not know.
        """

    def answers(
        self, pipe: Pipeline, inputs: Iterable[dict[str, Any]], options: Mapping[str, Any]
    ) -> Iterator[Any]:
        """The answers to score: those of the pipeline, unless overridden.

        Args:
            pipe: The model.
            inputs: The inputs of the samples.
            options: The options of the pipeline call.
        """
        return pipe.answers(inputs, **options)

    @abstractmethod
    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """Each row's contribution to the metric, shape (rows,), for the paired bootstrap."""

    @abstractmethod
    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """All numbers as JSON values; ``metric`` and ``rows`` are among the keys.

        The key ``METRIC_interval`` may have the 95 % interval of the metric, as two numbers.
        """

    def decision(self, answer: Any) -> str:
        """An answer without its scores, as a text to show and to compare."""
        return str(answer)

    def confidence(self, answer: Any) -> float:
        """The score that the model gives its answer; the report lists the highest errors first.

        If answers have no scores: how wrong they are, from `per_example`.
        """
        return 0.0

    def truth(self, target: Any) -> str:
        """A right answer as a text to show."""
        return str(target)

    def errors(self, answers: Sequence[Any], targets: Sequence[Any], limit: int) -> list[int]:
        """The indices of the wrong answers that the report shows, most confident first."""
        worth = self.per_example(answers, targets)
        wrong = np.flatnonzero(worth < 1.0 if self.higher_is_better else worth > 0.0)
        loss = -worth[wrong] if self.higher_is_better else worth[wrong]
        score = np.array([self.confidence(answers[index]) for index in wrong.tolist()])
        order = np.lexsort((-loss, -score))[:limit]
        return [int(index) for index in wrong[order]]

    def baselines(self, targets: Sequence[Any]) -> dict[str, float]:
        """The metric of trivial answers to these rows, by name; none by default."""
        return {}

    def kept(self, answer: Any, target: Any) -> Any:
        """The part of an answer that scoring reads; all of it by default.

        The quality gate keeps the answers to all rows, so a long answer of which scoring reads a
        little should be shortened.
        """
        return answer

    def label_pairs(self, answers: Sequence[Any], targets: Sequence[Any]) -> list[tuple[str, str]]:
        """The right label and the given label of each decision; empty if there are no labels.

        The quality gate finds swapped labels with it, and models that are no better than always
        answering the most frequent label.
        """
        return []

    def tables(self, report: Mapping[str, Any]) -> list[Table]:
        """The report as tables, for the terminal and for Markdown."""
        numbers = [
            [name, value] for name, value in report.items() if isinstance(value, int | float)
        ]
        return [Table("Metrics", ["metric", "value"], numbers)]

    def plots(self, report: Mapping[str, Any], pyplot: Any) -> dict[str, Any]:
        """Figures by title, drawn with ``matplotlib.pyplot``; none by default."""
        return {}


@dataclass(frozen=True)
class Table:
    """One table of a report; cells are texts, integers or floats."""

    title: str
    header: list[str]
    rows: list[list[Any]]


def check_columns(given: Iterable[str], known: Sequence[str]) -> None:
    """Check the names of the columns that a caller maps, such as ``text`` in ``text="review"``.

    Raises:
        OptionError: One is not among the known ones.
    """
    for name in given:
        if name not in known:
            raise OptionError(
                f"There is no column {name!r} that can be named.",
                hint=f"These columns can be named: {', '.join(known)}.",
            )


def evaluation_of(task: Task, labels: Sequence[str]) -> Evaluation:
    """The evaluation of a task's family.

    Raises:
        OptionError: The family has none.
    """
    if not task.family.scoring:
        raise OptionError(
            f"The family {task.family.name!r} of the task {task.name!r} has no scoring.",
            hint="Compare two models without right answers: nlplug compare --unlabelled. In a "
            "family of your own, set Family.scoring to 'module:Class' of a "
            "nlplug.evaluation.base.Evaluation.",
        )
    evaluation: Evaluation = load(task.family.scoring)(labels)
    return evaluation


def flat_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The scalar numbers of a report, and the F1 of its averages (``f1_macro``, …)."""
    flat = {name: value for name, value in report.items() if isinstance(value, int | float)}
    for group in ("macro", "micro", "weighted"):
        if isinstance(report.get(group), dict) and "f1" in report[group]:
            flat[f"f1_{group}"] = report[group]["f1"]
    return {name: float(value) for name, value in flat.items()}


def options_of(task: Task, evaluation: Evaluation | None, own: Mapping[str, Any]) -> TaskOptions:
    """All options of an evaluation run; passes them to ``evaluation.configure``.

    Args:
        task: The task.
        evaluation: Its evaluation, whose options override the others if the task has them.
        own: Options of the model or pipeline.

    Raises:
        OptionError: An option is invalid.
    """
    wanted = evaluation.options if evaluation is not None else {}
    known = {name: value for name, value in wanted.items() if name in task.Options.model_fields}
    options = make_options(task, {**task.family.gate_options, **own, **known})
    if evaluation is not None:
        evaluation.configure(options)
    return options

"""The quality gate: how much does a precision lose against PyTorch, and is it within the budget?

The same rows go through PyTorch and through each exported graph, both with the runtime's own
engine, so that tokenization, windows, batching and decoding are the same code. The gate measures
three things:

Parity: how far the raw outputs differ (largest and mean absolute difference, cosine, share of rows
whose largest output is the same). float32 graphs compute the same as PyTorch, so a difference
beyond rounding means a broken export and is an error, whatever the metric.

Loss: how much of the task's metric is lost, paired by row. A precision is refused when the mean
loss is above the budget. The mean decides, not the interval, because both ends of the interval are
worse criteria: with the lower end, a few rows would let anything pass; with the upper end, nothing
could pass with fewer than some thousand rows. So a small file tends to refuse (with 50 rows, one
more wrong row is two points). When the interval reaches beyond the budget, the result is marked
``uncertain`` and states how many rows would be enough.

Independence of the batch: how far the scores of the same rows differ alone and in batches of
unequal rows (``batch_diff``). An int8 graph with fixed scales is refused if they differ.

Without labels the loss is the one that PyTorch's probabilities expect: the probability of its own
answer minus the probability of the other answer. A change between two equally likely answers costs
nothing; a change of a certain answer costs a whole row. If the probabilities were calibrated, this
would be the loss of accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.evaluation.base import flat_metrics, options_of
from nlplug.export.paired import PairedLoss, paired_loss
from nlplug.export.parity import BATCH_TOLERANCE, Parity, expected_regret, score_difference
from nlplug.export.preflight.alternatives import check_alternatives
from nlplug.export.preflight.answers import check_answers, check_labels
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.runtime.engine import Engine
from nlplug.runtime.feeds import GraphFeeds
from nlplug.runtime.outputs import GraphOutputs

if TYPE_CHECKING:
    from nlplug.evaluation.base import Evaluation
    from nlplug.export.rows import GateRows
    from nlplug.runtime.executor import Executor
    from nlplug.runtime.model import Row, TaskModel
    from nlplug.task import Task

EXPECTED_AGREEMENT = "expected agreement with PyTorch"
"""The metric where there are no labels."""

_CHUNK = 256
_SOME = 128
"""Number of rows on which other settings of the PyTorch model are tried."""
_BATCHED, _BATCHES = 64, 4
"""Rows that are run alone and in batches, and number of these batches."""


@dataclass(frozen=True)
class GateResult:
    """The gate's result for one precision.

    Attributes:
        precision: ``fp32``, ``fp16``, ``int8``.
        parity: ``max_abs_diff``, ``mean_abs_diff``, ``largest``, ``cosine``, ``agreement``,
            ``rows``, ``batch_diff`` (the largest difference of a score of the same row alone and in
            a batch); of models that write texts also ``identical`` and ``ties``, see
            `nlplug.export.decoding_gate`.
        loss: Loss of the metric, in its unit.
        metric: Name of the metric.
        metrics: The task's metrics of this precision; empty without labels.
        refused: Why it is refused, or None.
        uncertain: What the rows cannot exclude, or None.
    """

    precision: str
    parity: dict[str, float]
    loss: PairedLoss
    metric: str
    metrics: dict[str, float] = field(default_factory=dict)
    refused: str | None = None
    uncertain: str | None = None

    @classmethod
    def of(
        cls,
        precision: str,
        parity: dict[str, float],
        loss: PairedLoss,
        metric: str,
        metrics: dict[str, float],
        *,
        budget: float,
        fixed: bool = False,
    ) -> GateResult:
        """The result of these measurements under a budget; ``fixed``: see `Gate.judge`."""
        refused = refusal(precision, parity, loss, metric, budget)
        if refused is None and fixed:
            refused = dependence(precision, parity)
        return cls(precision, parity, loss, metric, metrics, refused, doubt(loss, budget))


@dataclass(frozen=True)
class RowOutputs:
    """What one executor returned for the gate's rows.

    Attributes:
        outputs: For each window of each row, the outputs of the graph.
        answers: What the task decoded for each row.
        counts: Number of outputs of each row.
    """

    outputs: list[np.ndarray]
    answers: list[Any]
    counts: list[int]


class Gate:
    """Compares executors with a reference on the same rows.

    Args:
        task: The task.
        model: The task bound to the exported model.
        rows: The rows to compare on.
        evaluation: Scores answers; None when the task has no evaluation.
        reference: The PyTorch model, or an earlier graph.
        budget: Largest mean loss of the metric that is accepted: 0.005 is half a point.
        independent: See `expected_loss`.
        options: Default options of the exported model; the gate measures with them.
    """

    def __init__(
        self,
        task: Task,
        model: TaskModel[Any, Any],
        rows: GateRows,
        evaluation: Evaluation | None,
        reference: Executor,
        *,
        budget: float,
        independent: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._model = model
        self._rows = rows
        self._evaluation = evaluation if rows.targets is not None else None
        self._budget = budget
        self._independent = independent
        self._options = options_of(task, evaluation, options or {})
        self._signature = reference.signature
        # An earlier graph may take scales from each batch.
        alone = reference.signature.scales_by_batch
        self._reference = self._run(reference, together=not alone)
        self._expected = self._scores(self._reference)

    @property
    def metric(self) -> str:
        """Name of the metric that the loss is measured in."""
        return self._evaluation.metric if self._evaluation else EXPECTED_AGREEMENT

    def reference_metrics(self) -> dict[str, float]:
        """The task's metrics of the PyTorch model; empty without labels."""
        return self._metrics(self._reference)

    def check_reference(self, model: Any) -> list[CheckpointFinding]:
        """What is wrong with the answers of the PyTorch model.

        Args:
            model: The ``transformers.PreTrainedModel`` that the reference runs.
        """
        bad = [
            row
            for row, outputs in enumerate(self._by_row(self._reference))
            if not all(np.isfinite(output).all() for output in outputs)
        ]
        if bad:
            return [
                CheckpointFinding(
                    "answers",
                    f"PyTorch gives outputs that are NaN or infinite for {len(bad)} of "
                    f"{len(self._rows.inputs)} rows, the first is "
                    f"{str(self._rows.inputs[bad[0]])[:120]}.",
                    "A weight is so large that float32 overflows, or the checkpoint is damaged.",
                )
            ]
        if self._evaluation is None or self._rows.targets is None:
            return []
        given = self._evaluation, self._reference.answers, self._rows.targets
        if found := check_labels(*given):
            return found
        found = check_answers(*given, model)
        return found + check_alternatives(model, self._score_some, wrong=bool(found))

    def _score_some(self, model: Any) -> np.ndarray:
        """What some labelled rows contribute to the metric, for a PyTorch model."""
        from nlplug.export.torch_executor import TorchExecutor

        step = max(1, len(self._rows.inputs) // _SOME)
        run = self._run(TorchExecutor(model, self._signature), step=step)
        if self._evaluation is None or self._rows.targets is None:
            raise TypeError("Only labelled rows have a score.")
        return contributions(self._evaluation, run.answers, self._rows.targets[::step])

    def _by_row(self, run: RowOutputs) -> Iterator[list[np.ndarray]]:
        start = 0
        for count in run.counts:
            yield run.outputs[start : start + count]
            start += count

    def judge(self, precision: str, executor: Executor, *, fixed: bool = False) -> GateResult:
        """Run one exported graph and compare it with the reference.

        Args:
            precision: Its name.
            executor: Runs the graph.
            fixed: Whether its answers must be independent of the batch, as with fixed scales.
        """
        run = self._run(executor)
        parity = compare_outputs(self._reference, run)
        parity["batch_diff"] = self._batch_difference(executor)
        return GateResult.of(
            precision,
            parity,
            paired_loss(self._expected, self._scores(run)),
            self.metric,
            self._metrics(run),
            budget=self._budget,
            fixed=fixed,
        )

    def _batch_difference(self, executor: Executor) -> float:
        """The largest difference of a score of the same row alone and in a batch."""
        inputs = self._rows.inputs[:: max(1, len(self._rows.inputs) // _BATCHED)]
        encoded = self._model.encode(inputs, self._options)
        rows = [row for windows in encoded for row in windows][:_BATCHED]
        signature = executor.signature
        feeds = GraphFeeds(
            signature,
            pad_token_id=self._model.pad_token_id,
            first_position=self._model.first_position,
            pads=self._model.pads,
        )
        outputs = GraphOutputs(signature, self._model)

        def run(some: Sequence[Row]) -> list[dict[str, np.ndarray]]:
            return outputs.read(executor.run(feeds.collate(some)), [len(row) for row in some])

        batches = [list(range(n, len(rows), _BATCHES)) for n in range(min(_BATCHES, len(rows)))]
        if not feeds.pads or feeds.rows is not None:
            batches = feeds.plan([len(row) for row in rows], executor.token_budget)
        worst = 0.0
        for batch in batches:
            for place, given in zip(batch, run([rows[place] for place in batch]), strict=True):
                (alone,) = run([rows[place]])
                for name, value in alone.items():
                    difference = score_difference(value, given[name], independent=self._independent)
                    worst = float(np.maximum(worst, difference))
        return worst

    def _run(self, executor: Executor, *, together: bool = True, step: int = 1) -> RowOutputs:
        """Run every row, or every ``step``-th one; ``together``: see `Engine`."""
        engine = Engine(executor, self._model, together=together)
        run = RowOutputs([], [], [])
        try:
            rows = self._rows.inputs[::step]
            targets = self._rows.targets[::step] if self._rows.targets else [None] * len(rows)
            for start in range(0, len(rows), _CHUNK):
                inputs = rows[start : start + _CHUNK]
                right = targets[start : start + _CHUNK]
                encoded = self._model.encode(inputs, self._options)
                given = engine.outputs(inputs, self._options)
                for item, target, windows, outputs in zip(
                    inputs, right, encoded, given, strict=True
                ):
                    answer = self._model.decode(item, windows, outputs, self._options)
                    if self._evaluation is not None:
                        answer = self._evaluation.kept(answer, target)
                    run.answers.append(answer)
                    values = [value for output in outputs for value in output.values()]
                    run.counts.append(len(values))
                    run.outputs.extend(values)
        finally:
            engine.close()
        return run

    def _scores(self, run: RowOutputs) -> np.ndarray:
        if self._evaluation is None or self._rows.targets is None:
            return 1.0 - expected_loss(self._reference, run, independent=self._independent)
        if not all(np.isfinite(output).all() for output in run.outputs):
            return np.zeros(len(run.answers))
        return contributions(self._evaluation, run.answers, self._rows.targets)

    def _metrics(self, run: RowOutputs) -> dict[str, float]:
        return metrics_of(self._evaluation, run.answers, self._rows.targets)


def contributions(
    evaluation: Evaluation, answers: Sequence[Any], targets: Sequence[Any]
) -> np.ndarray:
    """What each row contributes to the metric, negated where less is better, shape (rows,)."""
    found = evaluation.per_example(answers, targets)
    return found if evaluation.higher_is_better else -found


def metrics_of(
    evaluation: Evaluation | None, answers: Sequence[Any] | None, targets: Sequence[Any] | None
) -> dict[str, float]:
    """The metrics of some answers; empty without an evaluation, answers or targets."""
    if evaluation is None or answers is None or targets is None:
        return {}
    report = evaluation.report(answers, targets)
    return {name: round(value, 6) for name, value in flat_metrics(report).items()}


def refusal(
    precision: str, parity: Mapping[str, float], loss: PairedLoss, metric: str, budget: float
) -> str | None:
    """Why a precision is refused, or None if it is accepted.

    Args:
        precision: Its name.
        parity: Its parity.
        loss: Its loss.
        metric: Name of the metric that the loss is measured in.
        budget: Largest mean loss that is accepted.
    """
    if not np.isfinite(parity["max_abs_diff"]):
        return f"{precision} gives outputs that are not finite numbers"
    if loss.mean <= budget:
        return None
    return (
        f"{precision} loses {points(loss.mean)} of {metric.replace('_', ' ')} against PyTorch "
        f"(95 % interval {loss.low * 100:+.2f} to {loss.high * 100:+.2f}, {loss.rows} rows), "
        f"above the budget of {points(budget)}; it gives the same answer in "
        f"{same_answers(parity):.1%} of the rows"
    )


def dependence(precision: str, parity: Mapping[str, float]) -> str | None:
    """Why a precision is refused because its scores depend on the batch; None if they do not."""
    if parity["batch_diff"] <= BATCH_TOLERANCE:
        return None
    return (
        f"{precision} gives the same text other scores in a batch than alone: they differ by up to "
        f"{parity['batch_diff']:.4f}, above {BATCH_TOLERANCE:.0e} (--scales batch allows this)"
    )


def doubt(loss: PairedLoss, budget: float) -> str | None:
    """What the rows cannot exclude; None where the interval is within the budget."""
    if loss.high <= budget:
        return None
    needed = loss.rows_needed(budget)
    return f"{loss.rows} rows cannot exclude a loss of {points(loss.high)}" + (
        f"; about {needed:,} rows could" if needed and needed > loss.rows else ""
    )


def same_answers(parity: Mapping[str, float]) -> float:
    """Share of the rows with PyTorch's answer; of whole texts where the model writes texts."""
    return parity.get("identical", parity["agreement"])


def points(value: float) -> str:
    """A share as points: 0.0123 → ``1.23 points``."""
    return f"{value * 100:.2f} points"


def compare_outputs(reference: RowOutputs, run: RowOutputs) -> dict[str, float]:
    """Parity of two runs over the same rows: see `Parity.summary`, and ``rows``."""
    parity = Parity()
    for expected, given in zip(reference.outputs, run.outputs, strict=True):
        parity.add(expected, given)
    return parity.summary() | {"rows": len(reference.answers)}


def expected_loss(
    reference: RowOutputs, run: RowOutputs, *, independent: bool = False
) -> np.ndarray:
    """For each row the mean `expected_regret` of its outputs, shape (rows,).

    Args:
        reference: The run whose probabilities are used.
        run: The other run, over the same rows.
        independent: Each number of an output is a yes or no of its own (several labels per text).
    """
    losses = [
        expected_regret(expected, given, independent=independent)
        for expected, given in zip(reference.outputs, run.outputs, strict=True)
    ]
    ends = np.cumsum(reference.counts)
    return np.array(
        [
            float(np.mean(losses[end - count : end])) if count else 0.0
            for end, count in zip(ends, reference.counts, strict=True)
        ]
    )

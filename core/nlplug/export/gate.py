"""The quality gate: what does a precision lose against PyTorch, and is that within the budget?

The same rows go through PyTorch and through each exported graph, by the runtime's own engine, so
that tokenizing, windows, batching and decoding are the very same code. Two things are measured:

Parity: how far the raw outputs are apart (largest and mean absolute difference, cosine, share of
rows where the largest output is the same one). In float32 the graphs compute the same, so anything
beyond rounding means a broken export and is an error, whatever the metric says.

Loss: how much of the task's own metric is lost, row by row. A precision is refused when the mean
loss is above the budget. The mean decides and not the interval, because on both sides the
alternative is worse: with "refuse only what is certainly bad" a handful of rows would let anything
pass, and with "keep only what is certainly good" nothing could pass with fewer than some thousand
rows. So a small file errs towards refusal (with 50 rows a single one more wrong is two points), and
what it cannot exclude is said: when the interval reaches beyond the budget the verdict is marked
``uncertain`` and names the rows that would settle it.

Without labels the loss is what PyTorch itself would expect to lose: the probability that it gives
its own answer less the one it gives the other's answer. A flip between two answers that it holds
for equally likely costs nothing, a flip of a certain one costs a whole row; were its probabilities
calibrated, this would be the loss of accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.evaluation.base import flat_metrics, options_of
from nlplug.export.paired import PairedLoss, paired_loss
from nlplug.runtime.engine import Engine

if TYPE_CHECKING:
    from nlplug.evaluation.base import Evaluation
    from nlplug.export.rows import GateRows
    from nlplug.runtime.executor import Executor
    from nlplug.runtime.model import TaskModel
    from nlplug.task import Task

FP32_TOLERANCE = 1e-3
"""Largest difference of float32 outputs, relative to the largest output (at least 1)."""

_CHUNK = 256


@dataclass(frozen=True)
class Run:
    """What one executor gave for the gate's rows.

    Attributes:
        outputs: For each window of each row, the outputs of the graph.
        answers: What the task decoded for each row.
        counts: How many outputs each row has.
    """

    outputs: list[np.ndarray]
    answers: list[Any]
    counts: list[int]


@dataclass(frozen=True)
class Verdict:
    """The gate's word on one precision.

    Attributes:
        precision: ``fp32``, ``fp16``, ``int8``.
        parity: ``max_abs_diff``, ``mean_abs_diff``, ``cosine``, ``agreement``, ``rows``; of models
            that write texts also ``identical`` and ``ties``, see `nlplug.export.decoding_gate`.
        loss: Of the metric, in its unit.
        metric: Its name.
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


class Gate:
    """Compares executors with a reference on the same rows.

    Args:
        task: The task.
        model: The task bound to the exported model.
        rows: What to compare on.
        evaluation: Scores answers; None when the task declares none.
        reference: The PyTorch model.
        budget: Largest mean loss of the metric that is accepted: 0.005 is half a point.
        independent: See `expected_loss`.
        options: Options that the model is to bring; it is measured as it will answer.
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
        self._reference = self._run(reference)
        self._expected = self._scores(self._reference)

    @property
    def metric(self) -> str:
        """Name of what the loss is measured in."""
        return self._evaluation.metric if self._evaluation else "expected agreement with PyTorch"

    def reference_metrics(self) -> dict[str, float]:
        """The task's metrics of the PyTorch model; empty without labels."""
        return self._metrics(self._reference)

    def judge(self, precision: str, executor: Executor) -> Verdict:
        """Run one exported graph and judge it."""
        run = self._run(executor)
        parity = compare_outputs(self._reference, run)
        loss = paired_loss(self._expected, self._scores(run))
        return Verdict(
            precision=precision,
            parity=parity,
            loss=loss,
            metric=self.metric,
            metrics=self._metrics(run),
            refused=refusal(precision, parity, loss, self.metric, self._budget),
            uncertain=doubt(loss, self._budget),
        )

    def _run(self, executor: Executor) -> Run:
        engine = Engine(executor, self._model)
        run = Run([], [], [])
        try:
            for start in range(0, len(self._rows.inputs), _CHUNK):
                inputs = self._rows.inputs[start : start + _CHUNK]
                encoded = self._model.encode(inputs, self._options)
                given = engine.outputs(inputs, self._options)
                for item, windows, outputs in zip(inputs, encoded, given, strict=True):
                    run.answers.append(self._model.decode(item, windows, outputs, self._options))
                    values = [value for output in outputs for value in output.values()]
                    run.counts.append(len(values))
                    run.outputs.extend(values)
        finally:
            engine.close()
        return run

    def _scores(self, run: Run) -> np.ndarray:
        if self._evaluation is not None and self._rows.targets is not None:
            if not all(np.isfinite(output).all() for output in run.outputs):
                return np.zeros(len(run.answers))
            found = self._evaluation.per_example(run.answers, self._rows.targets)
            return found if self._evaluation.higher_is_better else -found
        return 1.0 - expected_loss(self._reference, run, independent=self._independent)

    def _metrics(self, run: Run) -> dict[str, float]:
        if self._evaluation is None or self._rows.targets is None:
            return {}
        report = self._evaluation.report(run.answers, self._rows.targets)
        return {name: round(value, 6) for name, value in flat_metrics(report).items()}


def refusal(
    precision: str, parity: Mapping[str, float], loss: PairedLoss, metric: str, budget: float
) -> str | None:
    """Why a precision is refused; None for one that is not.

    Args:
        precision: Its name.
        parity: Of its verdict.
        loss: Likewise.
        metric: What the loss is measured in.
        budget: Largest mean loss that is accepted.
    """
    if not np.isfinite(parity["max_abs_diff"]):
        return f"{precision} gives outputs that are not finite numbers"
    if loss.mean <= budget:
        return None
    return (
        f"{precision} loses {points(loss.mean)} of {loss_name(metric)} against PyTorch "
        f"(95 % interval {loss.low * 100:+.2f} to {loss.high * 100:+.2f}, {loss.rows} rows), "
        f"above the budget of {points(budget)}; it gives the same answer in "
        f"{same_answers(parity):.1%} of the rows"
    )


def doubt(loss: PairedLoss, budget: float) -> str | None:
    """What the rows cannot exclude; None where they can."""
    if loss.high <= budget:
        return None
    needed = loss.rows_needed(budget)
    return f"{loss.rows} rows cannot exclude a loss of {points(loss.high)}" + (
        f"; about {needed:,} rows could" if needed and needed > loss.rows else ""
    )


def same_answers(parity: Mapping[str, float]) -> float:
    """Share of the rows with PyTorch's answer: whole texts where such are made."""
    return parity.get("identical", parity["agreement"])


def points(value: float) -> str:
    """A share as points: 0.0123 → ``1.23 points``."""
    return f"{value * 100:.2f} points"


def loss_name(metric: str) -> str:
    """The metric's name in a sentence."""
    return metric.replace("_", " ")


def compare_outputs(reference: Run, run: Run) -> dict[str, float]:
    """Parity of two runs over the same rows.

    Returns:
        ``max_abs_diff`` and ``mean_abs_diff`` over all numbers, ``largest`` (the reference's
        largest), ``cosine`` over all numbers, ``agreement`` (share of windows, or of tokens where
        the output has them, whose largest output is the same one), ``rows``.
    """
    if not run.outputs:
        same = {"cosine": 1.0, "agreement": 1.0, "largest": 0.0, "rows": 0}
        return {"max_abs_diff": 0.0, "mean_abs_diff": 0.0, **same}
    one = np.concatenate([output.ravel() for output in reference.outputs]).astype(np.float64)
    two = np.concatenate([output.ravel() for output in run.outputs]).astype(np.float64)
    difference = np.abs(one - two)
    norm = float(np.linalg.norm(one) * np.linalg.norm(two))
    agreed = np.concatenate(
        [
            np.atleast_1d(_best(expected) == _best(given)).ravel()
            for expected, given in zip(reference.outputs, run.outputs, strict=True)
        ]
    )
    return {
        "max_abs_diff": float(difference.max()),
        "mean_abs_diff": float(difference.mean()),
        "largest": float(np.abs(one).max()),
        "cosine": float(one @ two) / norm if norm else float(not difference.any()),
        "agreement": float(agreed.mean()),
        "rows": len(reference.answers),
    }


def expected_loss(reference: Run, run: Run, *, independent: bool = False) -> np.ndarray:
    """For each row the loss that the reference's own probabilities expect, shape (rows,).

    The probability it gives its own best answer less the one it gives the run's best answer, over
    the last axis of the output; averaged over a row's tokens and windows. An output that is not
    finite is a whole loss.

    Args:
        reference: The run that is believed.
        run: The other one, over the same rows.
        independent: The values of an output are a yes or no each (several labels a text).
    """
    losses = [
        _regret(expected, given, independent=independent)
        for expected, given in zip(reference.outputs, run.outputs, strict=True)
    ]
    ends = np.cumsum(reference.counts)
    return np.array(
        [
            float(np.mean(losses[end - count : end])) if count else 0.0
            for end, count in zip(ends, reference.counts, strict=True)
        ]
    )


def _regret(expected: np.ndarray, given: np.ndarray, *, independent: bool) -> float:
    if not np.isfinite(given).all():
        return 1.0
    logits = expected.astype(np.float64)
    if independent or logits.shape[-1] == 1:
        probability = np.exp(-np.logaddexp(0.0, -logits))
        flipped = (logits > 0) != (given > 0)
        return float(np.mean(np.abs(2 * probability - 1) * flipped))
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shares, np.argmax(given, axis=-1)[..., None], axis=-1)[..., 0]
    return float(np.mean(shares.max(axis=-1) - chosen))


def _best(output: np.ndarray) -> Any:
    return output > 0 if output.shape[-1] == 1 else output.argmax(axis=-1)


def worst_fp32(parity: dict[str, float]) -> float:
    """How far float32 outputs are apart, relative to the largest (at least 1)."""
    return parity["max_abs_diff"] / max(1.0, parity.get("largest", 1.0))


def refusals(verdicts: Sequence[Verdict]) -> str:
    """All refusals as one sentence."""
    return "; ".join(verdict.refused for verdict in verdicts if verdict.refused)

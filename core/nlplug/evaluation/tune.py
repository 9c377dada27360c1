"""Find the fastest settings of a model on this machine that keep its accuracy."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from math import isfinite
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nlplug.errors import DataError, OptionError
from nlplug.evaluation.base import Table
from nlplug.evaluation.document import Document, Section
from nlplug.evaluation.run import answer, samples_at
from nlplug.export.paired import paired_loss
from nlplug.families.one_pass import OnePassTask
from nlplug.models.precision import is_trusted, preferred_precision
from nlplug.models.tuned import Tuned, remember
from nlplug.pipelines import Pipeline
from nlplug.runtime.device import Device, parse_device
from nlplug.validation import make_input, make_options

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.models.bundle import Bundle
    from nlplug.task import Runner, Task, TaskInput

ACCURACY_BUDGET = 0.005
"""How much worse than floating point a precision may be on labelled rows, as a share of 1."""
TOKEN_BUDGETS = (192, 384, 768, 1536)
"""Tokens per batch to measure on a CPU."""
LARGE_TOKEN_BUDGETS = (4096, 8192, 32_768, 65_536)
"""The same on a GPU, which needs larger batches."""
_ROWS = 128
_FEW = 4
_LEAST_GAIN = 1.03
"""Smaller gains are noise, and the usual settings stay."""
_SCORED_ROWS = 400
_ROUNDS = 3
"""Rounds at least, for a median."""

_Settings = tuple[str, str, int | None]


@dataclass(frozen=True)
class MeasuredSettings:
    """Settings that were measured.

    Attributes:
        precision: A precision of the model.
        device: The device.
        token_budget: Tokens per batch; None for the default.
        rate: Rows per second, the median of all rounds.
        ratio: Speed as a multiple of that of the usual settings, the median over rounds.
        loss: How much worse the answers are than those in floating point, as a share of 1; None
            without labelled rows.
        holds: Whether the accuracy is good enough.
    """

    precision: str
    device: str
    token_budget: int | None
    rate: float
    ratio: float
    loss: float | None
    holds: bool

    @property
    def settings(self) -> _Settings:
        """What was measured: precision, device and tokens per batch."""
        return self.precision, self.device, self.token_budget


@dataclass(frozen=True)
class TuneResult:
    """What was measured, and what is fastest.

    Attributes:
        best: The settings that are used from now on where none are given.
        trials: All settings, fastest first.
        rows: Number of rows of a round.
        path: The file of the record.
    """

    best: Tuned
    trials: list[MeasuredSettings]
    rows: int
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "best": asdict(self.best),
            "trials": [asdict(trial) for trial in self.trials],
            "rows": self.rows,
            "path": str(self.path),
        }


def tune(
    task: Task,
    bundle: Bundle,
    data: Path | DataFile | None = None,
    *,
    seconds: float = 60.0,
    threads: int | None = None,
    **columns: str,
) -> TuneResult:
    """Measure the settings of a model, and keep the fastest for ``auto`` on this machine.

    First each precision on each device, then, for models that answer a batch by one run, the number
    of tokens per batch. The settings are measured in turns, so that other work on the machine
    affects all of them.

    Args:
        task: The task.
        bundle: The model.
        data: Labelled rows: their texts are measured, and a precision whose answers are more than
            half a point worse than in floating point is left out. None: the examples of the task,
            and only precisions that the gate has measured.
        seconds: Time for measuring speed, in all.
        threads: CPU threads; None for the CPUs that the process may use.
        **columns: Names of columns in the file.

    Raises:
        OptionError: The task has no examples, or ``seconds`` is no finite number above 0.
        DataError: A row cannot be used, or there are no rows.
        BundleError: The model cannot be loaded.
    """
    if not (isfinite(seconds) and seconds > 0):
        raise OptionError(f"seconds is {seconds}.", hint="Give a number above 0.")
    inputs, losses = _inputs_and_losses(task, bundle, data, threads, columns)
    devices = ["cpu", *(kind for kind in ("openvino", "cuda") if Device(kind).present)]
    usual = preferred_precision(bundle, "auto"), parse_device("auto").kind, None
    first = [(name, device, None) for name in losses for device in devices]
    gains = _gains(task, bundle, usual, first, inputs, threads, seconds / 2)
    holding = [one for one in gains if _holds(losses[one[0]])]
    precision, device, _ = max(holding, key=lambda one: gains[one].ratio, default=usual)
    if isinstance(task, OnePassTask):
        budgets = TOKEN_BUDGETS if parse_device(device).on_cpu else LARGE_TOKEN_BUDGETS
        sizes: list[_Settings] = [(precision, device, size) for size in budgets]
        gains |= _gains(task, bundle, usual, sizes, inputs, threads, seconds / 2)
    trials = [
        MeasuredSettings(
            *one,
            rate=gain.rate,
            ratio=gain.ratio,
            loss=losses[one[0]],
            holds=_holds(losses[one[0]]),
        )
        for one, gain in sorted(gains.items(), key=lambda pair: -pair[1].ratio)
    ]
    best = next(trial for trial in trials if trial.holds)
    kept = next(trial for trial in trials if trial.settings == usual)
    if kept.holds and best.ratio < _LEAST_GAIN:
        best = kept
    chosen = Tuned(best.precision, best.device, best.token_budget, best.rate, best.ratio)
    return TuneResult(chosen, trials, len(inputs), remember(bundle, chosen))


def _holds(loss: float | None) -> bool:
    return loss is None or loss <= ACCURACY_BUDGET


def _inputs_and_losses(
    task: Task,
    bundle: Bundle,
    data: Path | DataFile | None,
    threads: int | None,
    columns: dict[str, str],
) -> tuple[list[TaskInput], dict[str, float | None]]:
    """The inputs to measure, and by precision how much accuracy it loses."""
    if data is None:
        if not task.examples:
            raise OptionError(
                f"The task {task.name!r} has no examples.", hint="Give labelled rows: --data."
            )
        given = [make_input(task, example.input) for example in task.examples]
        trusted = [name for name in bundle.precisions if is_trusted(bundle, name)]
        # Without a known quality of any, the one that would be used anyway is measured.
        names = trusted or [preferred_precision(bundle, "auto")]
        return list(islice(cycle(given), _ROWS)), dict.fromkeys(names)
    worths = {}
    for name in bundle.precisions:
        with Pipeline(task, bundle, precision=name, device="cpu", threads=threads) as pipe:
            run = answer(pipe, data, limit=_SCORED_ROWS, progress=None, **columns)
            worths[name] = run.evaluation.per_example(run.answers, run.targets)
    samples = samples_at(run.evaluation, data, range(min(_ROWS, len(run.targets))), columns)
    if not samples:
        raise DataError("The rows cannot be read twice.", hint="Give a file instead of a stream.")
    exact = "fp32" if "fp32" in worths else max(worths, key=lambda name: worths[name].mean())
    losses: dict[str, float | None] = {
        name: paired_loss(worths[exact], worth).mean for name, worth in worths.items()
    }
    return [make_input(task, sample.input) for sample in samples.values()], losses


@dataclass(frozen=True)
class _Gain:
    """Rows per second, and the speed as a multiple of that of the usual settings."""

    rate: float
    ratio: float


def _gains(
    task: Task,
    bundle: Bundle,
    usual: _Settings,
    others: Sequence[_Settings],
    inputs: Sequence[TaskInput],
    threads: int | None,
    seconds: float,
) -> dict[_Settings, _Gain]:
    """The speed of settings: medians over rounds in which each is measured once.

    Ratios are those of one round, so that other work on the machine affects both sides.
    """
    options = make_options(task, task.default_options(bundle))
    times: dict[_Settings, list[float]] = {one: [] for one in (usual, *others)}
    with ExitStack() as stack:
        runners: dict[_Settings, Runner] = {}
        for one in times:
            runners[one] = _load(task, bundle, one, threads)
            stack.callback(runners[one].close)

        def run(runner: Runner, rows: Sequence[TaskInput]) -> float:
            start = perf_counter()
            list(runner.map(rows, options))
            return perf_counter() - start

        # The second run of each: the first one also loads the model.
        few = inputs[:_FEW]
        slowest = max([run(runner, few) and run(runner, few) for runner in runners.values()])
        room = seconds / (_ROUNDS * len(runners))
        rows = inputs[: max(1, int(len(few) * room / slowest))]
        end = perf_counter() + seconds
        order = deque(runners.items())
        while perf_counter() < end or len(times[usual]) < _ROUNDS:
            for one, runner in order:
                times[one].append(run(runner, rows))
            order.rotate()
    return {
        one: _Gain(
            len(rows) / median(found),
            median(base / own for base, own in zip(times[usual], found, strict=True)),
        )
        for one, found in times.items()
    }


def _load(task: Task, bundle: Bundle, settings: _Settings, threads: int | None) -> Runner:
    precision, device, size = settings
    if isinstance(task, OnePassTask):
        return task.load_with(
            bundle, precision=precision, device=device, threads=threads, token_budget=size
        )
    return task.load(bundle, precision=precision, device=device, threads=threads)


def document(result: TuneResult) -> Document:
    """The result as a table."""
    best = result.best
    rows: list[list[Any]] = [
        [
            trial.precision,
            trial.device,
            trial.token_budget or "default",
            f"{trial.rate:,.1f}",
            f"{trial.ratio:.2f}",
            "-" if trial.loss is None else f"{trial.loss * 100:+.2f}",
            "yes" if trial.holds else "no",
        ]
        for trial in result.trials
    ]
    header = [
        "precision",
        "device",
        "tokens per batch",
        "rows/s",
        "× usual",
        "points lost",
        "accurate enough",
    ]
    size = best.token_budget or "the default number of"
    return Document(
        "Fastest settings on this machine",
        [
            f"{best.precision} on {best.device} with {size} tokens per batch: {best.rate:,.1f} "
            f"rows/s, {best.ratio:.2f} times the speed of the usual settings."
        ],
        [Section("Measured", table=Table("", header, rows), brief=True)],
        result.to_dict(),
    )

"""The exporter of families whose models answer with one run of one graph."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.evaluation.base import Evaluation, evaluation_of, options_of
from nlplug.export.build import build_float, build_int8
from nlplug.export.build_result import BuildResult
from nlplug.export.calibration import Calibration, calibration_rows, fix_one_pass
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.fusion import FusedGraphs
from nlplug.export.gate import Gate, GateResult
from nlplug.export.parity import FP32_TOLERANCE, relative_difference
from nlplug.export.preflight.findings import stop_if_fatal
from nlplug.export.repair.attempt import AS_CONFIGURED, Attempt
from nlplug.export.repair.ladder import Form, Int8Forms, RepairClock, fp16_forms
from nlplug.export.repair.run import repair, unrepaired
from nlplug.export.repair.sensitive import overflowing
from nlplug.export.rows import GateRows, calibration_feeds, gate_rows
from nlplug.export.shapes import difference_by_shape
from nlplug.export.torch_executor import TorchExecutor
from nlplug.families.one_pass import OnePassTask
from nlplug.models.bundle import Bundle
from nlplug.models.layout import MODEL_GRAPH
from nlplug.runtime.session import OnnxExecutor
from nlplug.task import TaskOptions

if TYPE_CHECKING:
    from nlplug.export.smooth import Feeds
    from nlplug.models.signature import Signature
    from nlplug.runtime.model import Row

_ORDER = ("fp32", "fp16", "int8")
_SHAPED = 64
"""Number of rows from which batches of several shapes are made."""
_SMOOTHED = 48
"""Rows that the outliers of activations are measured on."""
_log = logging.getLogger(__name__)


def make(config: ExportConfig, checkpoint: Checkpoint, folder: Path) -> BuildResult:
    """Build the graphs of a model, and compare each precision with PyTorch.

    A family's exporter, see `nlplug.families.family.Family.exporter`.

    Args:
        config: The settings of the export.
        checkpoint: What is exported.
        folder: An empty folder for the files of the bundle.

    Raises:
        ExportError: The task's models do not answer in one pass, the architecture cannot be
            exported, or the float32 graph does not give what PyTorch gives.
        DataError: The evaluation data cannot be used.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    task = _one_pass(config, "exporter")
    fused = build_float(checkpoint, config, folder)
    draft = Bundle.open(folder)
    evaluation, options, rows = _judged_on(task, config, draft, config.options)
    model = task.bind(draft)
    executor = OnnxExecutor(draft.onnx_file("fp32"))
    try:
        _log.info("running PyTorch on %s", rows.origin)
        reference = TorchExecutor(checkpoint.model, executor.signature)
        problem = getattr(checkpoint.model.config, "problem_type", None)
        gate = Gate(
            task,
            model,
            rows,
            evaluation,
            reference,
            budget=config.budget,
            independent=problem == "multi_label_classification",
            options=config.options,
        )
        findings = gate.check_reference(checkpoint.model)
        stop_if_fatal(findings, config.allow, checkpoint.name)
        encoded = model.encode(rows.inputs[:_SHAPED], options)
        samples = [row for windows in encoded for row in windows]
        _check_types(checkpoint, samples, executor.signature)
        shape = difference_by_shape(model, samples, reference, executor)
    finally:
        executor.close()
    texts = calibration_rows(config, draft.labels) if "int8" in config.wanted else rows
    feeds = calibration_feeds(model, texts.inputs, options, limit=_SMOOTHED)

    def fix_scales() -> Calibration:
        return fix_one_pass(config, Bundle.open(folder), "int8", model, options, texts)

    made = _Precisions(config, fused, gate, folder, feeds, fix_scales)
    # fp32 first: if it differs from PyTorch, everything made from it is wrong.
    _check_float(made.judge("fp32"), shape)
    if "int8" in config.wanted:
        build_int8(fused, config.quantization, feeds, folder)
    for precision in sorted(Bundle.open(folder).precisions, key=_ORDER.index)[1:]:
        made.judge_or_repair(precision)
    return BuildResult(
        results=made.results,
        files={
            precision: {MODEL_GRAPH: path.relative_to(folder).as_posix()}
            for precision, path in Bundle.open(folder).precisions.items()
        },
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note=fused.note,
        labels=draft.labels if task.family.labelled else [],
        max_length=draft.max_length,
        findings=findings,
        attempts=made.attempts,
        calibration=made.calibration,
    )


def _check_types(checkpoint: Checkpoint, rows: Sequence[Row], signature: Signature) -> None:
    """Refuse a graph that cannot be told which of two texts a token belongs to.

    The comparison with PyTorch does not show it: both get what the graph declares.
    """
    config, name = checkpoint.model.config, "token_type_ids"
    types = getattr(config, "type_vocab_size", None) or 0
    # Where all of them are zero, as with RoBERTa, the graph has them without an input.
    given = any(np.any(row.features.get(name, 0)) for row in rows)
    if given and types > 1 and name not in signature.inputs:
        raise ExportError(
            f"The graph of {config.model_type!r} has no input {name}, but the tokenizer gives them "
            "to tell two texts apart.",
            hint="If the model was trained without them, save its tokenizer with "
            "model_input_names=['input_ids', 'attention_mask'].",
        )


class _Precisions:
    """Judges the graphs of a folder, and repairs those that are refused.

    Attributes:
        results: One per precision.
        attempts: The forms that were tried.
        calibration: How the scales of the last int8 graph were chosen.
    """

    def __init__(
        self,
        config: ExportConfig,
        fused: FusedGraphs,
        gate: Gate,
        folder: Path,
        feeds: Sequence[Feeds],
        fix_scales: Callable[[], Calibration],
    ) -> None:
        self._config = config
        self._fix_scales = fix_scales
        self.calibration = Calibration()
        self._gpu = fused.gpu
        self._gate = gate
        self._folder = folder
        self._feeds = feeds
        self._clock = RepairClock(config.repair_seconds)
        self.results: list[GateResult] = []
        self.attempts: list[Attempt] = []

    def judge(self, precision: str) -> GateResult:
        """Judge a graph as configured."""
        path = Bundle.open(self._folder).onnx_file(precision)
        _log.info("running %s", precision)
        start = time.monotonic()
        result = self._run(precision, path)
        if precision == "fp16":
            result = self._within_half(result)
        self.attempts.append(
            Attempt.of(
                AS_CONFIGURED,
                result,
                size=path.stat().st_size,
                judged=time.monotonic() - start,
            )
        )
        self.results.append(result)
        return result

    def judge_or_repair(self, precision: str) -> None:
        """Judge a graph, and try other forms if it is refused."""
        result = self.judge(precision)
        wanted = precision in self._config.wanted and self._clock.in_time()
        if not result.refused or not wanted:
            return
        _log.info("%s; trying repairs", result.refused)
        target = Bundle.open(self._folder).onnx_file(precision)
        source = Bundle.open(self._folder).onnx_file("fp32")
        forms: Iterable[Form]
        if precision == "int8":
            forms = int8 = Int8Forms(source, self._config.quantization, self._feeds, self._clock)
        else:
            forms, int8 = fp16_forms(source, self._gpu, self._feeds), None
        repaired = repair(
            precision,
            forms,
            target,
            lambda path: self._run(precision, path),
            self._clock,
            self.attempts,
        )
        sensitive = int8.sensitive if int8 is not None else []
        self.results[-1] = repaired or unrepaired(result, self.attempts, sensitive)

    def _run(self, precision: str, path: Path) -> GateResult:
        if precision == "int8":
            self.calibration = self._fix_scales()
        executor = OnnxExecutor(path)
        try:
            fixed = self._config.fixed and precision == "int8"
            return self._gate.judge(precision, executor, fixed=fixed)
        finally:
            executor.close()

    def _within_half(self, result: GateResult) -> GateResult:
        """Refused where numbers are beyond fp16, also if the rows do not show it."""
        large = overflowing(self._gpu, self._feeds)
        if not large:
            return result
        worst = max(large, key=large.__getitem__)
        reason = (
            f"fp16 ends at 65504, and {worst} has numbers up to {large[worst]:.3g} "
            f"({len(large)} of its operators)"
        )
        return replace(result, refused=f"{result.refused}; {reason}" if result.refused else reason)


def _check_float(result: GateResult, shape: str | None) -> None:
    parity = result.parity
    if relative_difference(parity) <= FP32_TOLERANCE and shape is None:
        return
    where = f"; {shape}" if shape else ""
    raise ExportError(
        f"The float32 graph differs from PyTorch by {parity['max_abs_diff']:.2e} "
        f"(largest output {parity['largest']:.2f}{where}): the export is broken.",
        hint="Please report the architecture. An existing bundle was not changed.",
    )


def calibrate(config: ExportConfig, earlier: Bundle, draft: Bundle, precision: str) -> BuildResult:
    """Fix the scales of a precision, and compare it with the earlier graph.

    A family's calibrator, see `nlplug.families.family.Family.calibrator`.

    Args:
        config: The settings; of the calibration and the gate.
        earlier: The bundle as it was.
        draft: A copy of it, whose graph is written again.
        precision: A precision whose graph takes scales from each batch.

    Raises:
        ExportError: The task's models do not answer in one pass.
        DataError: The rows cannot be used.
    """
    task = _one_pass(config, "calibrator")
    defaults = task.default_options(draft) | dict(config.options)
    evaluation, options, rows = _judged_on(task, config, draft, defaults)
    model = task.bind(draft)
    samples = calibration_rows(config, draft.labels)
    calibration = fix_one_pass(config, draft, precision, model, options, samples)
    graph = draft.onnx_file(precision)
    executors = [OnnxExecutor(path) for path in (earlier.onnx_file(precision), graph)]
    reference, candidate = executors
    try:
        gate = Gate(
            task,
            model,
            rows,
            evaluation,
            reference,
            budget=config.budget,
            independent=draft.config.get("problem_type") == "multi_label_classification",
            options=defaults,
        )
        result = gate.judge(precision, candidate, fixed=True)
    finally:
        for executor in executors:
            executor.close()
    return BuildResult(
        results=[result],
        files={precision: {MODEL_GRAPH: graph.relative_to(draft.path).as_posix()}},
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note="calibrated",
        labels=draft.labels if task.family.labelled else [],
        max_length=draft.max_length,
        calibration=calibration,
    )


def _judged_on(
    task: OnePassTask, config: ExportConfig, draft: Bundle, options: Mapping[str, Any]
) -> tuple[Evaluation | None, TaskOptions, GateRows]:
    """The scoring of the family if it has one, the options of the answers, and the gate's rows."""
    evaluation = evaluation_of(task, draft.labels) if task.family.scoring else None
    checked = options_of(task, evaluation, options)
    rows = gate_rows(
        task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    return evaluation, checked, rows


def _one_pass(config: ExportConfig, role: str) -> OnePassTask:
    task = config.task
    if not isinstance(task, OnePassTask):
        raise ExportError(
            f"{task.name} cannot be exported: {type(task).__name__} is not a OnePassTask.",
            hint=f"Name another {role} in the record of its family (Family.{role}).",
        )
    return task

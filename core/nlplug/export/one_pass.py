"""Models that answer in one pass of one graph: classifiers, taggers, finders of spans, encoders."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.evaluation.base import evaluation_of, options_of
from nlplug.export.build import build_float, build_int8
from nlplug.export.config import ExportConfig
from nlplug.export.gate import FP32_TOLERANCE, Gate, worst_fp32
from nlplug.export.made import Made
from nlplug.export.rows import calibration_feeds, gate_rows
from nlplug.export.source import Source
from nlplug.export.torch_executor import TorchExecutor
from nlplug.models.bundle import Bundle
from nlplug.models.layout import MODEL_GRAPH
from nlplug.runtime.session import OnnxExecutor

_ORDER = ("fp32", "fp16", "int8")
_log = logging.getLogger(__name__)


def make(config: ExportConfig, source: Source, folder: Path) -> Made:
    """See `Kind.make`: quantize on some of the rows, then run all precisions on all of them."""
    fused = build_float(source, config, folder)
    draft = Bundle.open(folder)
    scored = bool(config.task.family.scoring)
    evaluation = evaluation_of(config.task, draft.labels) if scored else None
    options = options_of(config.task, evaluation, config.options)
    rows = gate_rows(
        config.task, evaluation, config.eval_data, limit=config.eval_rows, columns=config.columns
    )
    task: Any = config.task
    model = task.bind(draft)
    if "int8" in config.wanted:
        build_int8(
            fused,
            config.quantization,
            calibration_feeds(model, rows.inputs, options),
            folder,
        )
        draft = Bundle.open(folder)
    gate: Gate | None = None
    verdicts = []
    # fp32 first: where it differs from PyTorch, nothing made from it can be right.
    for precision in sorted(draft.precisions, key=_ORDER.index):
        executor = OnnxExecutor(draft.onnx_file(precision))
        try:
            if gate is None:
                _log.info("running PyTorch on %s", rows.origin)
                reference = TorchExecutor(source.model, executor.signature)
                several = getattr(source.config, "problem_type", None)
                gate = Gate(
                    config.task,
                    model,
                    rows,
                    evaluation,
                    reference,
                    budget=config.budget,
                    independent=several == "multi_label_classification",
                    options=config.options,
                )
            _log.info("running %s", precision)
            verdict = gate.judge(precision, executor)
        finally:
            executor.close()
        if precision == "fp32" and not worst_fp32(verdict.parity) <= FP32_TOLERANCE:
            raise ExportError(
                f"The float32 graph differs from PyTorch by {verdict.parity['max_abs_diff']:.2e} "
                f"(largest output {verdict.parity['largest']:.2f}): the export is broken.",
                hint="Please report the architecture; a bundle that is there was not touched.",
            )
        verdicts.append(verdict)
    return Made(
        verdicts=verdicts,
        files={
            precision: {MODEL_GRAPH: path.relative_to(folder).as_posix()}
            for precision, path in draft.precisions.items()
        },
        rows=rows.origin,
        reference=gate.reference_metrics() if gate else {},
        note=fused.note,
        labels=draft.labels if config.task.family.labelled else [],
        max_length=draft.max_length,
    )

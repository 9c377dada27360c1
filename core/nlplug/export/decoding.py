"""What the exporters of families that write texts share: writing graphs, and running the gate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.export.branches import has_branches, quantize_branches
from nlplug.export.build_result import BuildResult
from nlplug.export.calibration import Calibration
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.export import save_graph
from nlplug.export.decoding_gate import DecodingGate, DecodingRows, EarlierGraph
from nlplug.export.gate import GateResult
from nlplug.export.parity import FP32_TOLERANCE, relative_difference
from nlplug.export.preflight.findings import stop_if_fatal
from nlplug.export.quantize import quantize
from nlplug.export.repair.attempt import AS_CONFIGURED, Attempt
from nlplug.export.repair.ladder import RepairClock
from nlplug.export.repair.run import unrepaired
from nlplug.export.repair.weight_only import weights_in_blocks
from nlplug.export.sides import write_sides
from nlplug.export.torch_decoder import TorchDecoder
from nlplug.models.bundle import Bundle
from nlplug.runtime.decoding.decoder import Decoder

Graphs = Mapping[str, Any]
"""``onnx.ModelProto`` by graph."""

NEW_TOKENS = 32
"""Tokens of a greedy text that the gate compares."""

_CHECKED = 16
_STORED = "weights stored as int8 in blocks of 32, arithmetic in float"
_SUFFIX = {"fp32": "", "int8": "_int8"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrittenGraphs:
    """Graphs in a folder.

    Attributes:
        files: Precision → graph → file; float32 first.
        note: Description of the graphs.
        forms: Other ways to make the int8 graphs, for repairs.
    """

    files: Mapping[str, Mapping[str, str]]
    note: str
    forms: Mapping[str, Callable[[], Graphs]] = field(default_factory=dict)


def write_checkpoint(config: ExportConfig, checkpoint: Checkpoint, folder: Path) -> None:
    """Write config and tokenizer of the checkpoint; see `nlplug.export.sides.write_sides`."""
    write_sides(
        checkpoint.model,
        checkpoint.tokenizer,
        folder,
        max_length=config.max_length,
        target_tokenizer=checkpoint.target_tokenizer,
    )


def fast_precisions(config: ExportConfig, *, blocks: bool) -> tuple[str, ...]:
    """The precisions to build fast graphs in; float32 always, because the gate starts with it."""
    if "int8" not in config.wanted:
        return ("fp32",)
    return "fp32", "int8-blocks" if blocks else "int8"


def write_graphs(
    config: ExportConfig,
    folder: Path,
    plain: Graphs | None,
    fast: Mapping[str, Graphs],
    note: str,
    forms: Mapping[str, Callable[[], Graphs]],
) -> WrittenGraphs:
    """Write the fast graphs; where there are none, the plain graphs and their int8 form.

    Args:
        config: The settings of the export.
        folder: The folder of the bundle.
        plain: As the exporter gives them; None where there are fast graphs.
        fast: By precision; empty where there are none.
        note: Description of the graphs.
        forms: Other ways to make the int8 graphs.
    """
    by_precision = {name.partition("-")[0]: graphs for name, graphs in fast.items()}
    if "int8-blocks" in fast:
        note = f"{note}; int8 in blocks"
    if plain is not None:
        by_precision["fp32"] = plain
        if "int8" in config.wanted:
            by_precision["int8"] = {
                name: _quantized(graph, config, folder) for name, graph in plain.items()
            }
    (folder / "onnx").mkdir()
    files: dict[str, dict[str, str]] = {}
    for precision, graphs in by_precision.items():
        files[precision] = {name: f"onnx/{name}{_SUFFIX[precision]}.onnx" for name in graphs}
        for name, graph in graphs.items():
            save_graph(graph, folder / files[precision][name])
    _log.info("graph: %s", note)
    if plain is not None and not any(has_branches(graph) for graph in plain.values()):
        forms = {_STORED: lambda: {name: _in_blocks(graph) for name, graph in plain.items()}}
    return WrittenGraphs(files, note, forms)


def _in_blocks(graph: Any) -> Any:
    made = type(graph)()
    made.CopyFrom(graph)
    return weights_in_blocks(made)


def _quantized(graph: Any, config: ExportConfig, folder: Path) -> Any:
    if has_branches(graph):
        return quantize_branches(graph, folder)
    made = type(graph)()
    made.CopyFrom(graph)
    return quantize(made, config.quantization)


def run_gate(
    config: ExportConfig,
    checkpoint: Checkpoint,
    draft: Bundle,
    written: WrittenGraphs,
    rows: DecodingRows,
    open_precision: Callable[[str], Decoder],
    fix_scales: Callable[[], Calibration],
) -> BuildResult:
    """Compare each precision with PyTorch.

    Args:
        config: The settings of the export.
        checkpoint: The reference.
        draft: The folder of the bundle.
        written: Its graphs.
        rows: The rows to compare on.
        open_precision: Opens the graphs of a precision.
        fix_scales: Fixes the scales of the int8 graphs in the folder, if the settings ask for it.

    Raises:
        ExportError: The float32 graphs do not give what PyTorch gives.
    """
    _log.info("running PyTorch on %s", rows.origin)
    reference = TorchDecoder(checkpoint.model)
    _check_finite(reference, rows)
    gate = DecodingGate(rows, reference, budget=config.budget)
    findings = gate.check_reference(checkpoint.model)
    stop_if_fatal(findings, config.allow, checkpoint.name)
    results: list[GateResult] = []
    attempts: list[Attempt] = []
    clock = RepairClock(config.repair_seconds)
    calibration = fix_scales()

    def judge(precision: str, form: str, built: float = 0.0, *, fixed: bool = False) -> GateResult:
        start = time.monotonic()
        scored = precision in config.wanted and rows.answers is not None
        result = gate.judge(precision, open_precision(precision), scored=scored, fixed=fixed)
        size = sum((draft.path / name).stat().st_size for name in written.files[precision].values())
        judged = time.monotonic() - start
        attempts.append(Attempt.of(form, result, size=size, judged=judged, built=built))
        return result

    # fp32 first: if it differs from PyTorch, everything made from it is wrong.
    for precision in written.files:
        _log.info("running %s", precision)
        fixed = config.fixed and precision == "int8"
        result = judge(precision, AS_CONFIGURED, fixed=fixed)
        if precision == "fp32":
            _check_fp32(result.parity)
        elif result.refused and precision in config.wanted and clock.in_time():
            _log.info("%s; trying repairs", result.refused)
            repaired = None
            with clock:
                for form, build in written.forms.items():
                    if not clock.in_time():
                        break
                    start = time.monotonic()
                    for name, graph in build().items():
                        save_graph(graph, draft.path / written.files[precision][name])
                    calibration = fix_scales()
                    built = time.monotonic() - start
                    tried = judge(precision, form, built, fixed=fixed)
                    if not tried.refused:
                        repaired = tried
                        break
            result = repaired or unrepaired(result, attempts, [])
        results.append(result)
    return BuildResult(
        results=results,
        files=written.files,
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note=written.note,
        labels=(),
        max_length=draft.max_length,
        attempts=attempts,
        calibration=calibration,
        findings=findings,
    )


def judge_calibrated(
    config: ExportConfig,
    draft: Bundle,
    precision: str,
    rows: DecodingRows,
    decoders: tuple[Decoder, Decoder],
    calibration: Calibration,
) -> BuildResult:
    """Compare the graphs of a precision with what they were before their scales were fixed.

    Args:
        config: The settings of the gate.
        draft: The bundle with the new graphs.
        precision: The precision.
        rows: The rows to compare on.
        decoders: With the earlier graphs, and with the new ones.
        calibration: How the scales were chosen.
    """
    earlier, decoder = decoders
    gate = DecodingGate(rows, EarlierGraph(earlier), budget=config.budget)
    result = gate.judge(precision, decoder, scored=rows.answers is not None, fixed=True)
    files = {
        name: found[precision].relative_to(draft.path).as_posix()
        for name, found in draft.graphs.items()
        if precision in found
    }
    return BuildResult(
        results=[result],
        files={precision: files},
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note="calibrated",
        labels=(),
        max_length=draft.max_length,
        calibration=calibration,
    )


def _check_finite(reference: TorchDecoder, rows: DecodingRows) -> None:
    """Stop if the logits of PyTorch are not numbers, which no comparison would explain."""
    prompts = rows.prompts[:_CHECKED]
    ends = [[prompt[-1]] for prompt in prompts]
    for place, logits in enumerate(reference.logits(prompts, ends)):
        if not np.isfinite(logits).all():
            raise ExportError(
                f"PyTorch gives logits that are NaN or infinite, first for prompt {place + 1}.",
                hint="A weight is so large that float32 overflows, or the checkpoint is damaged.",
            )


def _check_fp32(parity: Mapping[str, float]) -> None:
    different = round((1 - parity["identical"]) * parity["rows"]) - parity["ties"]
    if different > 0 or not relative_difference(parity) <= FP32_TOLERANCE:
        raise ExportError(
            f"The float32 graph generates other texts than PyTorch for {different:.0f} of "
            f"{parity['rows']:.0f} prompts, and its logits differ by {parity['max_abs_diff']:.2e} "
            f"(the largest is {parity['largest']:.2f}): the export is broken.",
            hint="Please report the architecture. An existing bundle was not changed.",
        )

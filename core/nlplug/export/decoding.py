"""What families share that decode: fast graphs where there are any, plain ones else, and a gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.branches import has_branches, quantize_branches
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.export import save_graph
from nlplug.export.decoding_gate import DecodingGate, DecodingRows
from nlplug.export.gate import FP32_TOLERANCE, Verdict, worst_fp32
from nlplug.export.made import Made
from nlplug.export.quantize import quantize
from nlplug.export.sides import write_sides
from nlplug.export.source import Source
from nlplug.export.torch_decoder import TorchDecoder
from nlplug.models.bundle import Bundle
from nlplug.runtime.decoding.decoder import Decoder

Graphs = Mapping[str, Any]
"""``onnx.ModelProto`` by graph."""

NEW_TOKENS = 32
"""Tokens of a greedy text that the gate compares."""

_SUFFIX = {"fp32": "", "int8": "_int8"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Built:
    """Graphs by precision, and what they are."""

    graphs: Mapping[str, Graphs]
    note: str


def write_source(config: ExportConfig, source: Source, folder: Path) -> None:
    """Write config and tokenizer of the checkpoint; see `nlplug.export.sides.write_sides`."""
    write_sides(
        source.model,
        source.tokenizer,
        folder,
        max_length=config.max_length,
        target_tokenizer=source.target_tokenizer,
    )


def products(config: ExportConfig, *, blocks: bool) -> tuple[str, ...]:
    """The products to build the fast graphs with; float32 always, since the gate starts from it."""
    if "int8" not in config.wanted:
        return ("fp32",)
    return "fp32", "int8-blocks" if blocks else "int8"


def built(
    config: ExportConfig, folder: Path, plain: Graphs, fast: Mapping[str, Graphs], note: str
) -> Built:
    """The fast graphs, named by the precisions of a bundle; else the plain ones, quantized here."""
    if fast:
        graphs = {name.partition("-")[0]: made for name, made in fast.items()}
        if "int8-blocks" in fast:
            note = f"{note}; int8 in blocks"
        return Built(graphs, note)
    if "int8" not in config.wanted:
        return Built({"fp32": plain}, note)
    rounded = {name: _rounded(graph, config, folder) for name, graph in plain.items()}
    return Built({"fp32": plain, "int8": rounded}, note)


def _rounded(graph: Any, config: ExportConfig, folder: Path) -> Any:
    if has_branches(graph):
        return quantize_branches(graph, folder)
    made = type(graph)()
    made.CopyFrom(graph)
    return quantize(made, config.quantization)


def save(built: Built, folder: Path) -> dict[str, dict[str, str]]:
    """Write the graphs; precision → graph → file."""
    (folder / "onnx").mkdir()
    files = {
        precision: {name: f"onnx/{name}{_SUFFIX[precision]}.onnx" for name in graphs}
        for precision, graphs in built.graphs.items()
    }
    for precision, graphs in built.graphs.items():
        for name, graph in graphs.items():
            save_graph(graph, folder / files[precision][name])
    _log.info("graph: %s", built.note)
    return files


def judged(
    config: ExportConfig,
    source: Source,
    draft: Bundle,
    built: Built,
    files: Mapping[str, Mapping[str, str]],
    rows: DecodingRows,
    opened: Callable[[str], Decoder],
) -> Made:
    _log.info("running PyTorch on %s", rows.origin)
    gate = DecodingGate(rows, TorchDecoder(source.model), budget=config.budget)
    verdicts: list[Verdict] = []
    # fp32 first: where it differs from PyTorch, nothing made from it can be right.
    for precision in built.graphs:
        _log.info("running %s", precision)
        verdict = gate.judge(
            precision, opened(precision), scored=precision in config.wanted and bool(rows.answers)
        )
        if precision == "fp32":
            _insist_on_identity(verdict)
        verdicts.append(verdict)
    return Made(
        verdicts=verdicts,
        files=files,
        rows=rows.origin,
        reference=gate.reference_metrics(),
        note=built.note,
        labels=(),
        max_length=draft.max_length,
    )


def _insist_on_identity(verdict: Verdict) -> None:
    parity = verdict.parity
    other = round((1 - parity["identical"]) * parity["rows"]) - parity["ties"]
    if other > 0 or not worst_fp32(parity) <= FP32_TOLERANCE:
        raise ExportError(
            f"The float32 graph writes other texts than PyTorch for {other:.0f} of "
            f"{parity['rows']:.0f} prompts, and its logits differ by {parity['max_abs_diff']:.2e} "
            f"(the largest is {parity['largest']:.2f}): the export is broken.",
            hint="Please report the architecture; a bundle that is there was not touched.",
        )

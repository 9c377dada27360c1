"""Models that write texts: fast graphs where there are any, plain ones else, and their gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError
from nlplug.export.branches import has_branches, quantize_branches
from nlplug.export.build import write_sides
from nlplug.export.decoder.export import export_decoder, save_graph
from nlplug.export.decoder.seq2seq import export_seq2seq
from nlplug.export.decoding_gate import DecodingGate, DecodingRows
from nlplug.export.decoding_rows import causal_rows, seq2seq_rows
from nlplug.export.gate import FP32_TOLERANCE, Verdict, worst_fp32
from nlplug.export.kinds import Made
from nlplug.export.quantize import quantize
from nlplug.export.run import ExportConfig
from nlplug.export.source import Source
from nlplug.export.torch_decoder import TorchDecoder
from nlplug.models.bundle import Bundle
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH, MODEL_GRAPH
from nlplug.models.manifest import Manifest
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.open import open_decoder, open_seq2seq

Graphs = Mapping[str, Any]
"""``onnx.ModelProto`` by graph."""

_SUFFIX = {"fp32": "", "int8": "_int8"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Built:
    """Graphs by precision, and what they are."""

    graphs: Mapping[str, Graphs]
    note: str


def make_causal(config: ExportConfig, source: Source, folder: Path) -> Made:
    """See `Kind.make`: models that continue a text."""
    _write_sides(config, source, folder)
    blocks = config.quantization.blocks is not False
    made = export_decoder(source.model, folder, precisions=_products(config, blocks=blocks))
    fast = {name: {MODEL_GRAPH: graph} for name, graph in made.fast.items()}
    built = _built(config, folder, {MODEL_GRAPH: made.plain}, fast, made.note)
    files = _save(built, folder)
    draft = Bundle.open(folder)

    def opened(precision: str) -> Decoder:
        path = draft.onnx_file(precision)
        return open_decoder(path, context=draft.max_length, threads=None)

    rows = causal_rows(config, draft)
    return _judged(config, source, draft, built, files, rows, opened)


def make_seq2seq(config: ExportConfig, source: Source, folder: Path) -> Made:
    """See `Kind.make`: models that answer a text with a text."""
    _write_sides(config, source, folder)
    blocks = config.quantization.blocks is True
    made = export_seq2seq(source.model, folder, precisions=_products(config, blocks=blocks))
    built = _built(config, folder, made.plain, made.fast, made.note)
    files = _save(built, folder)
    draft = _described(Bundle.open(folder), config)
    model: Any = config.task.bind(draft)

    def opened(precision: str) -> Decoder:
        graphs = (draft.onnx_file(precision, name) for name in (ENCODER_GRAPH, DECODER_GRAPH))
        return open_seq2seq(*graphs, start=model.start_token(), context=model.positions())

    rows = seq2seq_rows(config, draft, model)
    return _judged(config, source, draft, built, files, rows, opened)


def _described(draft: Bundle, config: ExportConfig) -> Bundle:
    """The draft with what its manifest will say, such as the languages that it is for."""
    manifest = Manifest(
        name=config.name or config.output.resolve().name,
        task=config.task.name,
        hub_task=config.task.hub_task,
        languages=list(config.languages),
        max_length=draft.max_length,
        options=dict(config.options),
    )
    return replace(draft, name=manifest.name, manifest=manifest)


def _write_sides(config: ExportConfig, source: Source, folder: Path) -> None:
    write_sides(source, config, folder)
    text = source.model.generation_config.to_json_string(use_diff=True)
    (folder / "generation_config.json").write_text(text, encoding="utf-8")


def _products(config: ExportConfig, *, blocks: bool) -> tuple[str, ...]:
    """The products to build the fast graphs with; float32 always, since the gate starts from it."""
    if "int8" not in config.wanted:
        return ("fp32",)
    return "fp32", "int8-blocks" if blocks else "int8"


def _built(
    config: ExportConfig, folder: Path, plain: Graphs, fast: Mapping[str, Graphs], note: str
) -> _Built:
    """The fast graphs, named by the precisions of a bundle; else the plain ones, quantized here."""
    if fast:
        graphs = {name.partition("-")[0]: made for name, made in fast.items()}
        if "int8-blocks" in fast:
            note = f"{note}; int8 in blocks"
        return _Built(graphs, note)
    if "int8" not in config.wanted:
        return _Built({"fp32": plain}, note)
    rounded = {name: _rounded(graph, config, folder) for name, graph in plain.items()}
    return _Built({"fp32": plain, "int8": rounded}, note)


def _rounded(graph: Any, config: ExportConfig, folder: Path) -> Any:
    if has_branches(graph):
        return quantize_branches(graph, folder)
    made = type(graph)()
    made.CopyFrom(graph)
    return quantize(made, config.quantization)


def _save(built: _Built, folder: Path) -> dict[str, dict[str, str]]:
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


def _judged(
    config: ExportConfig,
    source: Source,
    draft: Bundle,
    built: _Built,
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

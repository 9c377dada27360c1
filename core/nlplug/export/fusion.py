"""Fused graphs: one operator for attention and for GELU, compared with the plain graph."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.export.exporters.marked_attention import fuse_marked, has_marks
from nlplug.export.graph import GraphEditor, histogram
from nlplug.export.passes import (
    put_attention_first,
    split_skip_layer_norm,
    use_contributed_gelu,
)
from nlplug.export.quiet import quiet
from nlplug.export.reasons import reason_of
from nlplug.extras import require
from nlplug.runtime.device import onnxruntime
from nlplug.runtime.session import build_session, session_options

_BERT_LIKE = frozenset(
    {"albert", "bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"}
)
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class FusedGraphs:
    """The float32 graph in the form that is fastest on each device.

    Attributes:
        cpu: For the CPU, and to be quantized.
        gpu: For CUDA, with fewer kernel launches, and to be converted to fp16.
        note: What was fused, or why nothing was; goes into the manifest.
    """

    cpu: Any
    gpu: Any
    note: str


def fuse(plain: Any, config: Any, folder: Path) -> FusedGraphs:
    """Fuse the graph of a supported architecture; other graphs stay plain, and the note says so.

    Args:
        plain: ``onnx.ModelProto`` as exported; not changed.
        config: The model's ``PretrainedConfig``.
        folder: For temporary files; they are removed again.
    """
    try:
        graph = fuse_marked(copy.deepcopy(plain)) if has_marks(plain) else plain
        if config.model_type not in _BERT_LIKE and not histogram(graph).get("Attention"):
            folded = _fold(plain, folder)
            return FusedGraphs(folded, folded, f"plain: no fusion for {config.model_type}")
        gpu = _bert(graph, config)
        editor = GraphEditor(copy.deepcopy(gpu))
        split_skip_layer_norm(editor)
        cpu = editor.finish()
        reference = _probe(plain, plain)
        worst = max(_difference(reference, _probe(plain, graph)) for graph in (cpu, gpu))
    except Exception as error:  # the plain graph is right, whatever fails here
        folded = _fold(plain, folder)
        return FusedGraphs(folded, folded, f"plain: fusion failed: {reason_of(error)}")
    if not worst <= _TOLERANCE:
        folded = _fold(plain, folder)
        return FusedGraphs(folded, folded, f"plain: the fused graph differs by {worst:.1e}")
    return FusedGraphs(cpu, gpu, _describe(gpu, config))


def _bert(plain: Any, config: Any) -> Any:
    """The graph fused with ONNX Runtime's patterns for BERT."""
    optimizer = require("onnxruntime.transformers.optimizer", "train", purpose="Graph fusion")
    options_module = require(
        "onnxruntime.transformers.fusion_options", "train", purpose="Graph fusion"
    )
    options = options_module.FusionOptions("bert")
    # A mask with two axes allows padding anywhere; lengths would require it on the right.
    options.use_raw_attention_mask(True)
    # Without this fusion the tables can be quantized row by row.
    options.enable_embed_layer_norm = False
    graph = copy.deepcopy(plain)
    editor = GraphEditor(graph)
    use_contributed_gelu(editor)
    put_attention_first(editor)
    with quiet():  # it logs every node that it cannot fuse; the note has the outcome
        fused = optimizer.optimize_by_fusion(
            graph,
            model_type="bert",
            num_heads=config.num_attention_heads,
            hidden_size=config.hidden_size,
            optimization_options=options,
        )
        fused.topological_sort()
    return GraphEditor(fused.model).finish()


def _fold(plain: Any, folder: Path) -> Any:
    """The plain graph with its constants folded, with standard operators only."""
    onnx = require("onnx", "train", purpose="Export")
    path = folder / "folded.onnx"
    options = session_options(1)
    options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    try:
        build_session(plain.SerializeToString(), options)
        return GraphEditor(onnx.load(str(path))).finish()
    finally:
        path.unlink(missing_ok=True)


def _probe(declared: Any, graph: Any) -> list[np.ndarray]:
    """The outputs for a batch of random ids with padding, on the CPU."""
    session = build_session(graph.SerializeToString(), session_options(1))
    random = np.random.default_rng(0)
    mask = (np.arange(12) < np.array([[12], [7], [3]])).astype(np.int64)
    ids = random.integers(0, _vocabulary(declared), mask.shape) * mask
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
    values: list[np.ndarray] = session.run(
        None, {item.name: feeds[item.name] for item in session.get_inputs()}
    )
    # Outputs at padding positions are undefined.
    keep = mask.astype(bool)
    return [value[keep] if value.shape[:2] == keep.shape else value for value in values]


def _vocabulary(graph: Any) -> int:
    """Number of rows of the table that ``input_ids`` index."""
    editor = GraphEditor(graph)
    for node in editor.nodes:
        if node.op_type == "Gather" and node.input[1] == "input_ids":
            table = editor.weight(node.input[0])
            if table is not None:
                return int(table.shape[0])
    return 100


def _difference(expected: list[np.ndarray], actual: list[np.ndarray]) -> float:
    return max(
        float(np.max(np.abs(one - two)) / max(1.0, float(np.max(np.abs(one)))))
        for one, two in zip(expected, actual, strict=True)
    )


def _describe(graph: Any, config: Any) -> str:
    counts = histogram(graph)
    names = ("Attention", "SkipLayerNormalization", "BiasGelu", "FastGelu", "Gelu")
    found = ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name))
    if counts.get("Attention", 0) < config.num_hidden_layers:
        return f"partly fused: {found or 'no pattern found'}"
    return f"fused: {found}"

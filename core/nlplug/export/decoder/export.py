"""A causal language model as graphs: plain, and where its architecture is known, fast."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.export.decoder.builder import build
from nlplug.export.decoder.plain import export_plain, run_plain
from nlplug.export.decoder.products import PRECISIONS, products_of
from nlplug.export.decoder.read import read_decoder
from nlplug.export.decoder.weights import NoFastForm
from nlplug.extras import require
from nlplug.runtime.decoding.open import open_decoder

TOLERANCE = 1e-4
"""How far logits of a fast graph may be from those of the plain one, by the largest."""

_LONGEST_CHECK = 24
# Protobuf ends at 2 GB.
_LARGEST_FILE = 2**31 - 2**20


@dataclass(frozen=True)
class DecoderGraphs:
    """What came out.

    Attributes:
        plain: The graph as exported, in float32.
        fast: The fast graph in each precision; empty where there is none.
        note: What was built, or why nothing was; goes into the manifest.
        difference: The largest difference of the fast graph's logits from the plain graph's, by
            the largest logit; None where there is no fast graph.
    """

    plain: Any
    fast: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    difference: float | None = None


def export_decoder(
    model: Any, folder: Path, *, precisions: Sequence[str] = PRECISIONS
) -> DecoderGraphs:
    """Export a causal language model.

    The fast graph is kept if it gives the plain graph's logits, over prompts of unequal lengths
    and step by step from its cache. A model without a fast form keeps its plain graph, and the
    note says why.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; nothing stays there.
        precisions: Of the fast graph, from `nlplug.export.decoder.products.PRECISIONS`.

    Raises:
        ExportError: Optimum cannot export it.
        OptionError: There is no such precision.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    wanted = {precision: products_of(precision) for precision in precisions}
    plain = export_plain(model, folder)
    try:
        weights = read_decoder(model)
        fast = build(weights, products_of("fp32"))
        worst = _difference(plain, fast, folder)
    except NoFastForm as error:
        return DecoderGraphs(plain, note=f"plain: no fast form for {error}")
    except Exception as error:  # whatever goes wrong in it, the plain graph is right
        reason = reason_of(error)
        return DecoderGraphs(plain, note=f"plain: building the fast graph failed ({reason})")
    if not worst <= TOLERANCE:
        return DecoderGraphs(plain, note=f"plain: the fast graph differs by {worst:.1e}")
    graphs = {
        precision: fast if precision == "fp32" else build(weights, products)
        for precision, products in wanted.items()
    }
    note = f"fast: {len(weights.blocks)} layers, {model.config.model_type}"
    return DecoderGraphs(plain, graphs, note, worst)


def reason_of(error: Exception) -> str:
    """The first line of what an error says, for a note."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def save_graph(graph: Any, path: Path) -> None:
    """Write a graph; one past the limit of its format with its weights in a file beside it."""
    onnx = require("onnx", "train", purpose="Export")
    if graph.ByteSize() < _LARGEST_FILE:
        onnx.save_model(graph, str(path))
        return
    onnx.save_model(
        graph,
        str(path),
        save_as_external_data=True,
        location=f"{path.name}_data",
        size_threshold=1024,
    )


def _difference(plain: Any, fast: Any, folder: Path) -> float:
    """The worst difference of logits, by the largest logit."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        paths = [Path(temporary) / name for name in ("plain.onnx", "fast.onnx")]
        for graph, path in zip((plain, fast), paths, strict=True):
            save_graph(graph, path)
        session = open_decoder(paths[1], threads=1)
        tokens = min(session.spec.context, _LONGEST_CHECK)
        random = np.random.default_rng(0)
        ids = random.integers(0, session.spec.vocabulary, (3, tokens))
        expected = run_plain(paths[0], ids)
        prompts = [max(1, tokens // part) for part in (2, 3, 6)]
        worst = 0.0
        decoding = session.start(
            [row[:length].tolist() for row, length in zip(ids, prompts, strict=True)]
        )
        rows = np.arange(len(ids))
        while True:
            last = decoding.lengths - 1
            worst = max(worst, float(np.abs(expected[rows, last] - decoding.logits).max()))
            if int(last.max()) == tokens - 1:
                break
            decoding.step(ids[rows, last + 1])
        return worst / max(1.0, float(np.abs(expected).max()))

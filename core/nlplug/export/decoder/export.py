"""A causal language model as graphs: fast, or plain if its architecture has no fast form."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from nlplug.errors import ExportError
from nlplug.export.decoder.balance import balance_decoder
from nlplug.export.decoder.builder import build
from nlplug.export.decoder.products import (
    PRECISIONS,
    BlockProducts,
    FineBlockProducts,
    Int8Products,
    Products,
    products_of,
)
from nlplug.export.decoder.read import read_decoder
from nlplug.export.decoder.weights import NoFastForm, check_rotary
from nlplug.export.exporters.exporter import installed_exporter
from nlplug.export.reasons import reason_of
from nlplug.extras import require
from nlplug.runtime.decoding.open import open_decoder

TOLERANCE = 1e-4
"""Largest difference of a fast graph's logits, relative to the largest logit (at least 1)."""

_LONGEST_CHECK = 24
_KINDS: Mapping[type[Products], str] = {
    BlockProducts: "one scale per block of weights",
    Int8Products: "one scale per column of weights",
    FineBlockProducts: "blocks of 32 weights, activations in float",
}
# Protobuf messages have at most 2 GB.
_LARGEST_FILE = 2**31 - 2**20


Graph = TypeVar("Graph")
Weights = TypeVar("Weights")


@dataclass(frozen=True)
class ExportedGraphs(Generic[Graph]):
    """The graphs of a model; ``Graph`` is one ``onnx.ModelProto``, or several by name.

    Attributes:
        plain: As the exporter gives it, in float32; None where there is a fast graph.
        fast: The fast graph in each precision; empty where there is none.
        note: What was built, and why; goes into the manifest.
        difference: The largest difference of the fast graph's logits from those of PyTorch,
            relative to the largest logit; None where there is no fast graph.
        forms: Other ways to make the int8 graph, for the gate to try if it refuses the first one:
            names, and functions that build it; the smallest and fastest first.
    """

    plain: Graph | None = None
    fast: dict[str, Graph] = field(default_factory=dict)
    note: str = ""
    difference: float | None = None
    forms: Mapping[str, Callable[[], Graph]] = field(default_factory=dict)


DecoderGraphs = ExportedGraphs[Any]


def export_decoder(
    model: Any, folder: Path, *, precisions: Sequence[str] = PRECISIONS
) -> DecoderGraphs:
    """Export a causal language model.

    The fast graph is kept if it gives the logits of PyTorch, for prompts of different lengths and
    step by step from its cache. A model without a fast form gets a plain graph, and the note says
    why.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.
        precisions: Of the fast graph, from `nlplug.export.decoder.products.PRECISIONS`.

    Raises:
        ExportError: It has no fast form and the exporter cannot export it, or its positions change
            within the context.
        OptionError: There is no such precision.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    check_rotary(model.config)
    products = [products_of(precision) for precision in precisions]
    return with_fast_graphs(
        lambda: installed_exporter().causal(model, folder),
        dict(zip(precisions, products, strict=True)),
        read=lambda: read_decoder(model),
        build=build,
        difference=lambda fast: _difference(model, fast, folder),
        describe=lambda weights: f"{len(weights.blocks)} layers, {model.config.model_type}",
        balance=balance_decoder,
    )


def with_fast_graphs(
    plain: Callable[[], Graph],
    products: Mapping[str, Products],
    *,
    read: Callable[[], Weights],
    build: Callable[[Weights, Products], Graph],
    difference: Callable[[Graph], float],
    describe: Callable[[Weights], str],
    balance: Callable[[Weights], Weights],
) -> ExportedGraphs[Graph]:
    """Build the fast graphs of a model, and compare the float32 one with PyTorch.

    Args:
        plain: Exports the model for the case that it has no fast form.
        products: By precision.
        read: Reads the weights; `NoFastForm` if the model has no fast form.
        build: Builds the graph from the weights, in one precision.
        difference: The largest difference of a graph's logits from those of PyTorch, relative to
            the largest logit.
        describe: The sizes of the model, for the note.
        balance: Moves scales out of outlier channels of the weights.
    """
    try:
        weights = read()
        fast = build(weights, products_of("fp32"))
        worst = difference(fast)
    except NoFastForm as error:
        return _without_fast(plain, f"no fast form for {error}")
    except Exception as error:  # the plain graph is right, whatever fails here
        return _without_fast(plain, f"building the fast graph failed: {reason_of(error)}")
    if not worst <= TOLERANCE:
        return _without_fast(plain, f"the fast graph differs by {worst:.1e}")
    graphs = {
        precision: fast if precision == "fp32" else build(weights, writer)
        for precision, writer in products.items()
    }

    def form(writer: Products) -> Callable[[], Graph]:
        return lambda: build(balance(weights), writer)

    configured = list(products.values())[-1]
    others = {"scales moved out of outlier channels": form(configured)}
    for kind, name in _KINDS.items():
        if kind is not type(configured):
            others[f"scales moved, {name}"] = form(kind())
    return ExportedGraphs(None, graphs, f"fast: {describe(weights)}", worst, others)


def _without_fast(plain: Callable[[], Graph], why: str) -> ExportedGraphs[Graph]:
    try:
        return ExportedGraphs(plain(), note=f"plain: {why}")
    except ExportError as error:
        message = f"{error.message} A plain graph was needed: {why}."
        raise ExportError(message, hint=error.hint) from error


def save_graph(graph: Any, path: Path) -> None:
    """Write a graph; above the size limit of protobuf, its weights go into a second file."""
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


def _difference(model: Any, fast: Any, folder: Path) -> float:
    """The largest difference of logits, relative to the largest logit."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "fast.onnx"
        save_graph(fast, path)
        session = open_decoder(path, threads=1)
        tokens = min(session.spec.context, _LONGEST_CHECK)
        random = np.random.default_rng(0)
        ids = random.integers(0, session.spec.vocabulary, (3, tokens))
        with torch.inference_mode():
            expected = model(torch.from_numpy(ids)).logits.float().cpu().numpy()
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

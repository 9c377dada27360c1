"""A text-to-text model as graphs: plain, and if its architecture is supported, fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.export.decoder.balance import balance_encoder_decoder
from nlplug.export.decoder.cross_step import build_step
from nlplug.export.decoder.encoder import build_encoder
from nlplug.export.decoder.encoder_decoder_plain import export_plain_encoder_decoder
from nlplug.export.decoder.encoder_decoder_weights import EncoderDecoderWeights
from nlplug.export.decoder.export import ExportedGraphs, save_graph, with_fast_graphs
from nlplug.export.decoder.products import PRECISIONS, Products, products_of
from nlplug.export.decoder.read import read_encoder_decoder
from nlplug.models.layout import DECODER_GRAPH, ENCODER_GRAPH
from nlplug.runtime.decoding.open import open_encoder_decoder

_LONGEST_CHECK = 24
_STEPS = 12


EncoderDecoderGraphs = ExportedGraphs[dict[str, Any]]
"""Graphs by name, `ENCODER_GRAPH` and `DECODER_GRAPH`."""


def export_encoder_decoder(
    model: Any, folder: Path, *, precisions: Sequence[str] = PRECISIONS
) -> EncoderDecoderGraphs:
    """Export a text-to-text model.

    The fast graphs are kept if they give the plain graphs' logits, for sources of different lengths
    and step by step. A model without a fast form keeps its plain graphs, and the note says why.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.
        precisions: Of the fast graphs, from `nlplug.export.decoder.products.PRECISIONS`.

    Raises:
        ExportError: Optimum cannot export it, or it does not define its first token.
        OptionError: There is no such precision.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    products = [products_of(precision) for precision in precisions]
    plain = export_plain_encoder_decoder(model, folder)
    padding = model.config.pad_token_id
    return with_fast_graphs(
        plain,
        dict(zip(precisions, products, strict=True)),
        read=lambda: read_encoder_decoder(model),
        build=_build,
        difference=lambda fast: _difference(plain, fast, folder, padding=padding),
        describe=lambda weights: (
            f"{len(weights.encoder.layers)} and {len(weights.decoder.layers)} layers, "
            f"{model.config.model_type}"
        ),
        balance=balance_encoder_decoder,
    )


def _build(weights: EncoderDecoderWeights, products: Products) -> dict[str, Any]:
    return {
        ENCODER_GRAPH: build_encoder(weights, products.many_rows),
        DECODER_GRAPH: build_step(weights, products),
    }


def _difference(
    plain: Mapping[str, Any], fast: Mapping[str, Any], folder: Path, *, padding: int | None
) -> float:
    """The largest difference of logits, relative to the largest logit, with two texts per source.

    The texts are random tokens without padding, because some models give padding no position.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        decoders: list[Any] = []
        for name, graphs in (("plain", plain), ("fast", fast)):
            paths = [
                Path(temporary) / f"{name}_{graph}.onnx" for graph in (ENCODER_GRAPH, DECODER_GRAPH)
            ]
            for graph, path in zip((ENCODER_GRAPH, DECODER_GRAPH), paths, strict=True):
                save_graph(graphs[graph], path)
            decoders.append(open_encoder_decoder(*paths, threads=1))
        spec = decoders[0].spec
        random = np.random.default_rng(0)
        longest = min(spec.sources.context, _LONGEST_CHECK)
        tokens = np.setdiff1d(
            np.arange(min(spec.vocabulary, spec.sources.vocabulary)),
            [-1 if padding is None else padding],
        )
        sources = [random.choice(tokens, max(1, longest // part)).tolist() for part in (1, 2, 6)]
        one, two = (decoder.start(sources, copies=2) for decoder in decoders)
        worst = largest = 0.0
        for left in reversed(range(min(spec.context - 1, _STEPS))):
            worst = max(worst, float(np.abs(one.logits - two.logits).max()))
            largest = max(largest, float(np.abs(one.logits).max()))
            drawn = random.choice(tokens, one.rows)
            for decoding in (one, two) if left else ():
                decoding.step(drawn)
        return worst / max(1.0, largest)

"""A text-to-text model as graphs: fast, or plain if its architecture has no fast form."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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

    The fast graphs are kept if they give the logits of PyTorch, for sources of different lengths
    and step by step. A model without a fast form gets plain graphs, and the note says why.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; they are removed again.
        precisions: Of the fast graphs, from `nlplug.export.decoder.products.PRECISIONS`.

    Raises:
        ExportError: It has no fast form and the exporter cannot export it, or it does not define
            its first token.
        OptionError: There is no such precision.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    products = [products_of(precision) for precision in precisions]
    return with_fast_graphs(
        lambda: export_plain_encoder_decoder(model, folder),
        dict(zip(precisions, products, strict=True)),
        read=lambda: read_encoder_decoder(model),
        build=_build,
        difference=lambda fast: _difference(model, fast, folder),
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


def _difference(model: Any, fast: Mapping[str, Any], folder: Path) -> float:
    """The largest difference of logits, relative to the largest logit, with two texts per source.

    The texts are random tokens without padding, because some models give padding no position.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        paths = [Path(temporary) / f"{graph}.onnx" for graph in (ENCODER_GRAPH, DECODER_GRAPH)]
        for graph, path in zip((ENCODER_GRAPH, DECODER_GRAPH), paths, strict=True):
            save_graph(fast[graph], path)
        decoder: Any = open_encoder_decoder(*paths, threads=1)
    spec = decoder.spec
    random = np.random.default_rng(0)
    longest = min(spec.sources.context, _LONGEST_CHECK)
    padding = model.config.pad_token_id
    tokens = np.setdiff1d(
        np.arange(min(spec.vocabulary, spec.sources.vocabulary)),
        [-1 if padding is None else padding],
    )
    sources = [random.choice(tokens, max(1, longest // part)).tolist() for part in (1, 2, 6)]
    decoding = decoder.start(sources, copies=2)
    steps = min(spec.context - 1, _STEPS)
    drawn = random.choice(tokens, (steps - 1, decoding.rows))
    found = [decoding.logits.copy()]
    for row in drawn:
        decoding.step(row)
        found.append(decoding.logits.copy())
    texts = np.vstack([np.full((1, decoding.rows), spec.start), drawn]).T
    worst = largest = 0.0
    for place, text in enumerate(texts):
        with torch.inference_mode():
            expected = model(
                torch.tensor([sources[place // 2]]), decoder_input_ids=torch.tensor([text.tolist()])
            ).logits[0]
        logits = expected.float().cpu().numpy()
        given = np.stack([step[place] for step in found])
        worst = max(worst, float(np.abs(logits - given).max()))
        largest = max(largest, float(np.abs(logits).max()))
    return worst / max(1.0, largest)

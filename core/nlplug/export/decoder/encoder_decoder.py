"""A text-to-text model as graphs: plain, and where its architecture is known, fast."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.export.decoder.cross_step import build_step
from nlplug.export.decoder.encoder import build_encoder
from nlplug.export.decoder.encoder_decoder_plain import DECODER, ENCODER, export_plain_seq2seq
from nlplug.export.decoder.encoder_decoder_weights import Seq2SeqWeights
from nlplug.export.decoder.export import TOLERANCE, reason_of, save_graph
from nlplug.export.decoder.products import PRECISIONS, products_of
from nlplug.export.decoder.read import read_seq2seq
from nlplug.export.decoder.weights import NoFastForm
from nlplug.runtime.decoding.open import open_seq2seq

_LONGEST_CHECK = 24
_STEPS = 12


@dataclass(frozen=True)
class Seq2SeqGraphs:
    """What came out: graphs by name, ``encoder_model`` and ``decoder_model_merged``.

    Attributes:
        plain: As exported, in float32.
        fast: The fast graphs, by precision and then by name; empty where there are none.
        note: What was built, or why nothing was; goes into the manifest.
        difference: The largest difference of the fast graphs' logits from the plain graphs', by
            the largest logit; None where there are no fast graphs.
    """

    plain: dict[str, Any]
    fast: dict[str, dict[str, Any]] = field(default_factory=dict)
    note: str = ""
    difference: float | None = None


def export_seq2seq(
    model: Any, folder: Path, *, precisions: Sequence[str] = PRECISIONS
) -> Seq2SeqGraphs:
    """Export a text-to-text model.

    The fast graphs are kept if they give the plain graphs' logits, over sources of unequal lengths
    and step by step. A model without a fast form keeps its plain graphs, and the note says why.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32, in eval mode.
        folder: For temporary files; nothing stays there.
        precisions: Of the fast graphs, from `nlplug.export.decoder.products.PRECISIONS`.

    Raises:
        ExportError: Optimum cannot export it, or it does not tell its first token.
        OptionError: There is no such precision.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    for precision in precisions:
        products_of(precision)
    plain = export_plain_seq2seq(model, folder)
    try:
        weights = read_seq2seq(model)
        fast = _build(weights, "fp32")
        worst = _difference(plain, fast, folder, padding=model.config.pad_token_id)
    except NoFastForm as error:
        return Seq2SeqGraphs(plain, note=f"plain: no fast form for {error}")
    except Exception as error:  # whatever goes wrong in it, the plain graphs are right
        reason = reason_of(error)
        return Seq2SeqGraphs(plain, note=f"plain: building the fast graphs failed ({reason})")
    if not worst <= TOLERANCE:
        return Seq2SeqGraphs(plain, note=f"plain: the fast graphs differ by {worst:.1e}")
    graphs = {
        precision: fast if precision == "fp32" else _build(weights, precision)
        for precision in precisions
    }
    note = (
        f"fast: {len(weights.encoder.layers)} and {len(weights.decoder.layers)} layers, "
        f"{model.config.model_type}"
    )
    return Seq2SeqGraphs(plain, graphs, note, worst)


def _build(weights: Seq2SeqWeights, precision: str) -> dict[str, Any]:
    products = products_of(precision)
    return {
        ENCODER: build_encoder(weights, products.many_rows),
        DECODER: build_step(weights, products),
    }


def _difference(
    plain: Mapping[str, Any], fast: Mapping[str, Any], folder: Path, *, padding: int | None
) -> float:
    """The worst difference of logits, by the largest logit, with two texts to each source.

    The texts are random; padding, which some models give no position, is none of their tokens.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        decoders: list[Any] = []
        for name, graphs in (("plain", plain), ("fast", fast)):
            paths = [Path(temporary) / f"{name}_{graph}.onnx" for graph in (ENCODER, DECODER)]
            for graph, path in zip((ENCODER, DECODER), paths, strict=True):
                save_graph(graphs[graph], path)
            decoders.append(open_seq2seq(*paths, threads=1))
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

"""Exporting causal language models: the graph, and the prompts and texts to compare it on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import DataError
from nlplug.evaluation.base import Sample
from nlplug.export.build_result import BuildResult
from nlplug.export.calibration import Calibration, Recorders, fix_graphs
from nlplug.export.checkpoint import Checkpoint
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.export import export_decoder
from nlplug.export.decoding import (
    NEW_TOKENS,
    fast_precisions,
    judge_calibrated,
    run_gate,
    write_checkpoint,
    write_graphs,
)
from nlplug.export.decoding_gate import DecodingRows, Logits
from nlplug.export.gate import contributions
from nlplug.export.rows import SENTENCES, draw
from nlplug.families.causal_lm.scoring import (
    LikelihoodScorer,
    TextGenerationEvaluation,
    likelihood_scorer,
)
from nlplug.families.decoding_options import GenerationConfig, TextDecodingOptions
from nlplug.models.bundle import Bundle
from nlplug.models.layout import MODEL_GRAPH
from nlplug.runtime.decoding.decoder import Decoder, DecoderSpec
from nlplug.runtime.decoding.fast import FastCausalDecoding
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.plain import PlainDecoder
from nlplug.runtime.tokenizer import load_tokenizer

PROMPTS = 128
"""Number of prompts whose greedy continuations are compared."""

_LENGTHS = (4, 8, 16, 24)
_READ_BYTES = 100_000
"""Bytes of text for bits per byte; PyTorch and each precision read all of it."""
_SOME = 24
"""Number of texts on which other settings of the PyTorch model are tried."""


def make(config: ExportConfig, checkpoint: Checkpoint, folder: Path) -> BuildResult:
    """Build the graph, and compare each precision; see `nlplug.export.one_pass.make`."""
    write_checkpoint(config, checkpoint, folder)
    precisions = fast_precisions(config, blocks=config.quantization.blocks is not False)
    exported = export_decoder(checkpoint.model, folder, precisions=precisions)
    fast = {name: {MODEL_GRAPH: graph} for name, graph in exported.fast.items()}
    forms = {name: _as_model(build) for name, build in exported.forms.items()}
    plain = None if exported.plain is None else {MODEL_GRAPH: exported.plain}
    written = write_graphs(config, folder, plain, fast, exported.note, forms)
    draft = Bundle.open(folder)

    def open_precision(precision: str) -> Decoder:
        return _opened(draft, precision)

    rows = gate_rows(config, draft)
    fix = partial(fix_scales, config, draft, "int8", rows)
    return run_gate(config, checkpoint, draft, written, rows, open_precision, fix)


def calibrate(config: ExportConfig, earlier: Bundle, draft: Bundle, precision: str) -> BuildResult:
    """Fix the scales of a precision; see `nlplug.export.one_pass.calibrate`."""
    rows = gate_rows(config, draft)
    calibration = fix_scales(config, draft, precision, rows)
    decoders = _opened(earlier, precision), _opened(draft, precision)
    return judge_calibrated(config, draft, precision, rows, decoders, calibration)


def _opened(bundle: Bundle, precision: str) -> Decoder:
    path = bundle.onnx_file(precision)
    return open_decoder(path, context=bundle.max_length, threads=None)


def fix_scales(
    config: ExportConfig, draft: Bundle, precision: str, rows: DecodingRows
) -> Calibration:
    """Fix the scales of the int8 graph by reading prompts one at a time.

    A graph in blocks has none: it takes the scales of each row from the row.

    Args:
        config: The settings of the export.
        draft: The bundle, whose file is written again.
        precision: The precision.
        rows: Those of the gate, for the case that no others are given.
    """
    if config.calibration is not None:
        rows = gate_rows(replace(config, eval_data=config.calibration), draft)

    def run(recorders: Recorders) -> None:
        session = recorders[MODEL_GRAPH]
        described = session.metadata.get(DecoderSpec.metadata_key)
        if described is None:
            plain = PlainDecoder(session, draft.path, context=draft.max_length)
            for prompt in rows.prompts:
                plain.start([prompt])
            return
        spec = DecoderSpec.from_json(described, draft.path)
        for prompt in rows.prompts:
            FastCausalDecoding(session, [prompt], spec=spec, room=0, copies=1)

    return fix_graphs(config, draft, precision, rows.origin, run)


def _as_model(build: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    return lambda: {MODEL_GRAPH: build()}


def gate_rows(config: ExportConfig, draft: Bundle) -> DecodingRows:
    """Prompts to continue, and texts whose bits per byte are measured.

    Args:
        config: Its data may have texts; without, the prompts are taken from built-in sentences.
        draft: The model with its tokenizer.

    Raises:
        DataError: The data cannot be used.
    """
    tokenizer = load_tokenizer(draft, offsets=False)
    options = GenerationConfig.of(draft).decoding(
        TextDecodingOptions(max_new_tokens=min(NEW_TOKENS, draft.max_length // 2)), tokenizer
    )
    if config.eval_data is None:
        texts, origin = list(SENTENCES), "prompts from built-in sentences"
    else:
        evaluation = TextGenerationEvaluation([])
        samples = draw(
            evaluation.samples(config.eval_data, **dict(config.columns)), config.eval_rows
        )
        texts = [sample.input["prompt"] + sample.input["text"] for sample in samples]
        origin = f"prompts from texts of {config.eval_data.name}"
    begin, _ = tokenizer.prompt(texts[0]) if texts else ([], [])
    prompts = _prompts([tokenizer.ids(text) for text in texts], begin, draft.max_length // 2)
    if not prompts:
        raise DataError("There is no text to compare on.", hint="Give a file with texts.")
    origin = f"{len(prompts)} {origin}"
    if config.eval_data is None:
        return DecodingRows(prompts, options, f"{origin}, without labels")
    read = _some(samples)

    def likelihoods(logits: Logits, some: Sequence[Sample]) -> list[Any]:
        scorer: LikelihoodScorer = likelihood_scorer(draft, logits)
        return [scorer.likelihood(one.input["text"], one.input["prompt"]) for one in some]

    def score_some(logits: Logits) -> np.ndarray:
        some = read[:_SOME]
        return contributions(evaluation, likelihoods(logits, some), [None] * len(some))

    return DecodingRows(
        prompts,
        options,
        f"{origin}; bits per byte of {len(read)} texts",
        evaluation,
        lambda logits, _: likelihoods(logits, read),
        [sample.target for sample in read],
        score_some,
    )


def _prompts(texts: Sequence[Sequence[int]], begin: Sequence[int], longest: int) -> list[list[int]]:
    """Prompts of several lengths, sampled from the texts, each after the start tokens."""
    found: set[tuple[int, ...]] = set()
    lengths = [length for length in _LENGTHS if length + len(begin) <= longest] or [1]
    places = 2 * PROMPTS // max(1, len(texts)) + 2
    for text in texts:
        step = max(1, len(text) // places)
        for place in range(0, max(1, len(text) - 1), step):
            for length in lengths:
                found.add((*begin, *text[place : place + length]))
    pieces = sorted(piece for piece in found if len(piece) > len(begin))
    if len(pieces) > PROMPTS:
        pieces = random.Random(0).sample(pieces, PROMPTS)
    return [list(piece) for piece in pieces]


def _some(samples: Sequence[Sample]) -> list[Sample]:
    """Random samples with at most `_READ_BYTES` bytes in all; at least one sample."""
    kept: list[Sample] = []
    size = 0
    for sample in random.Random(0).sample(list(samples), len(samples)):
        size += len(sample.input["text"].encode())
        if kept and size > _READ_BYTES:
            break
        kept.append(sample)
    return kept

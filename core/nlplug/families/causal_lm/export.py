"""Exporting causal language models: the graph, and the prompts and texts that judge it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlplug.errors import DataError
from nlplug.evaluation.base import Sample
from nlplug.export.config import ExportConfig
from nlplug.export.decoder.export import export_decoder
from nlplug.export.decoding import NEW_TOKENS, built, judged, products, save, write_source
from nlplug.export.decoding_gate import DecodingRows, Logits
from nlplug.export.made import Made
from nlplug.export.rows import SENTENCES, draw
from nlplug.export.source import Source
from nlplug.families.causal_lm.runner import open_decoder
from nlplug.families.causal_lm.scoring import (
    LikelihoodScorer,
    TextGenerationEvaluation,
    likelihood_scorer,
)
from nlplug.families.decoding_options import GenerationConfig, TextDecodingOptions
from nlplug.models.bundle import Bundle
from nlplug.models.layout import MODEL_GRAPH
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.tokenizer import load_tokenizer

PROMPTS = 128
"""Prompts of which the greedy continuations are compared."""

_LENGTHS = (4, 8, 16, 24)
_READ_BYTES = 100_000
"""Text that is read for bits per byte; PyTorch and each precision read all of it."""


def make(config: ExportConfig, source: Source, folder: Path) -> Made:
    """Build and judge the graphs; see `nlplug.export.one_pass.make`."""
    write_source(config, source, folder)
    blocks = config.quantization.blocks is not False
    made = export_decoder(source.model, folder, precisions=products(config, blocks=blocks))
    fast = {name: {MODEL_GRAPH: graph} for name, graph in made.fast.items()}
    graphs = built(config, folder, {MODEL_GRAPH: made.plain}, fast, made.note)
    files = save(graphs, folder)
    draft = Bundle.open(folder)

    def opened(precision: str) -> Decoder:
        path = draft.onnx_file(precision)
        return open_decoder(path, context=draft.max_length, threads=None)

    rows = gate_rows(config, draft)
    return judged(config, source, draft, graphs, files, rows, opened)


def gate_rows(config: ExportConfig, draft: Bundle) -> DecodingRows:
    """Beginnings of texts to go on from, and texts to be read.

    Args:
        config: Its data may have texts; without, sentences that are built in begin the prompts.
        draft: The model with its tokenizer.

    Raises:
        DataError: The data cannot be used.
    """
    tokenizer = load_tokenizer(draft, offsets=False)
    options = GenerationConfig.of(draft).decoding(
        TextDecodingOptions(max_new_tokens=min(NEW_TOKENS, draft.max_length // 2)), tokenizer.ids
    )
    if config.eval_data is None:
        texts, origin = list(SENTENCES), "beginnings of built-in sentences"
    else:
        evaluation = TextGenerationEvaluation([])
        samples = draw(
            evaluation.samples(config.eval_data, **dict(config.columns)), config.eval_rows
        )
        texts = [sample.input["prompt"] + sample.input["text"] for sample in samples]
        origin = f"beginnings of texts of {config.eval_data.name}"
    begin, _ = tokenizer.prompt(texts[0]) if texts else ([], [])
    prompts = _beginnings([tokenizer.ids(text) for text in texts], begin, draft.max_length // 2)
    if not prompts:
        raise DataError("There is no text to compare on.", hint="Give a file with texts.")
    origin = f"{len(prompts)} {origin}"
    if config.eval_data is None:
        return DecodingRows(prompts, options, f"{origin}, without labels")
    read = _some(samples)

    def answers(logits: Logits, _: Sequence[Sequence[int]]) -> list[Any]:
        scorer: LikelihoodScorer = likelihood_scorer(draft, logits)
        return [scorer.likelihood(one.input["text"], one.input["prompt"]) for one in read]

    origin = f"{origin}; bits per byte of {len(read)} texts"
    return DecodingRows(
        prompts, options, origin, evaluation, answers, [sample.target for sample in read]
    )


def _beginnings(
    texts: Sequence[Sequence[int]], begin: Sequence[int], longest: int
) -> list[list[int]]:
    """Pieces of texts, of several lengths, drawn evenly; each after what begins a text."""
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
    """Of the samples as many, drawn evenly, as `_READ_BYTES` allow; one at least."""
    kept: list[Sample] = []
    size = 0
    for sample in random.Random(0).sample(list(samples), len(samples)):
        size += len(sample.input["text"].encode())
        if kept and size > _READ_BYTES:
            break
        kept.append(sample)
    return kept

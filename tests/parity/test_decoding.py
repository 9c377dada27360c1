"""Decoding beside ``generate`` of transformers on the same random weights, text by text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, END, VOCABULARY
from parity.compare import Tally
from parity.generation import GRAPHS, NEAR, Peer, Shape, answers_of, make, near
from parity.models import usually

from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.open import open_decoder, open_encoder_decoder
from nlplug.runtime.decoding.options import DecodingOptions

pytestmark = pytest.mark.train

OFTEN = (
    "GPT-2 (fast)",
    "GPT-2 (plain)",
    "GPT-NeoX (fast)",
    "Llama (fast)",
    "Mistral, windows of 8 (plain)",
    "Qwen2 (fast)",
    "Marian (fast)",
    "BART (plain)",
    "M2M100 (fast)",
    "T5 (fast)",
)
Both = tuple[Any, Decoder]
_WORDS = [[5], [7, 8], [9, 10, 11], [40, 41], [60]]


def _allowed(number: int, ids: Any) -> list[int]:
    """A few tokens, which hang on the prompt and on the token before; the end is among some."""
    return [(7 * number + 5 * int(ids[-1]) + 11 * step) % VOCABULARY for step in range(14)]


GREEDY: dict[str, dict[str, Any]] = {
    "greedy": {},
    "greedy, penalties and bans": {
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 2,
        "bad_words_ids": _WORDS,
    },
    "greedy, lengths": {"min_new_tokens": 9, "max_new_tokens": 17, "forced_eos_token_id": END},
    "greedy, suppressed": {
        "suppress_tokens": [*range(3, 90, 7)],
        "begin_suppress_tokens": [*range(1, 60, 2)],
        "repetition_penalty": 0.8,
    },
    "greedy, constrained": {"prefix_allowed_tokens_fn": _allowed},
    "greedy, constrained, penalties": {
        "prefix_allowed_tokens_fn": _allowed,
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 2,
        "min_new_tokens": 3,
    },
}
BEAMS: dict[str, dict[str, Any]] = {
    "4 beams, all returned": {"num_beams": 4, "num_return_sequences": 4},
    "3 beams, early stopping": {"num_beams": 3, "early_stopping": True, "length_penalty": 0.0},
    "2 beams, stopping never": {
        "num_beams": 2,
        "num_return_sequences": 2,
        "early_stopping": "never",
        "length_penalty": 2.0,
    },
    "3 beams, penalties and bans": {
        "num_beams": 3,
        "length_penalty": -1.0,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3,
        "bad_words_ids": _WORDS,
        "min_new_tokens": 5,
    },
    "3 beams, forced end": {
        "num_beams": 3,
        "num_return_sequences": 3,
        "forced_eos_token_id": END,
        "suppress_tokens": [11, 22, 33],
        "max_new_tokens": 9,
    },
    "4 beams, constrained": {
        "num_beams": 4,
        "num_return_sequences": 4,
        "prefix_allowed_tokens_fn": _allowed,
    },
}
DRAWN: dict[str, dict[str, Any]] = {
    "top_k": {"top_k": 12, "temperature": 0.7},
    "top_p": {"top_p": 0.8, "top_k": 0},
    "min_p": {"min_p": 0.1, "top_k": 0, "temperature": 1.5},
    "typical_p": {"typical_p": 0.7, "top_k": 0},
    "all filters, penalties": {
        "temperature": 1.3,
        "top_k": 30,
        "top_p": 0.9,
        "min_p": 0.02,
        "typical_p": 0.95,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 2,
    },
}
_NAMES = {"bad_words_ids": "bad_words", "forced_eos_token_id": "forced_eos"} | {
    "forced_bos_token_id": "forced_bos",
    "prefix_allowed_tokens_fn": "allowed_tokens",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape, str], Both]:
    """A model in PyTorch, and its fast or plain graph."""

    from nlplug.export.decoder.builder import build
    from nlplug.export.decoder.encoder_decoder import export_encoder_decoder
    from nlplug.export.decoder.encoder_decoder_plain import export_plain_encoder_decoder
    from nlplug.export.decoder.export import save_graph
    from nlplug.export.decoder.products import products_of
    from nlplug.export.decoder.read import read_decoder
    from nlplug.export.exporters.exporter import installed_exporter

    models = cache(make)

    @cache
    def graphs(shape: Shape, graph: str) -> Any:
        folder = tmp_path_factory.mktemp("seq2seq")
        if graph == "plain":
            return export_plain_encoder_decoder(make(shape), folder)
        return export_encoder_decoder(make(shape), folder, precisions=["fp32"]).fast["fp32"]

    def get(shape: Shape, graph: str) -> Both:
        folder = tmp_path_factory.mktemp("decoder")
        made, path = models(shape), folder / "model.onnx"
        if shape.sources:
            found = graphs(shape, graph)
            files = [folder / f"{name}.onnx" for name in ("encoder_model", "decoder_model_merged")]
            for file in files:
                save_graph(found[file.stem], file)
            return made, open_encoder_decoder(*files, threads=1)
        if graph == "plain":
            save_graph(installed_exporter().causal(made, folder), path)
            return made, open_decoder(path, context=CONTEXT, threads=1)
        save_graph(build(read_decoder(made), products_of("fp32")), path)
        return made, open_decoder(path, threads=1)

    return get


def _prompts(count: int, seed: int, *lengths: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    sizes = random.choice(lengths or (3, 6, 11), count)
    return [random.integers(END + 1, VOCABULARY, size).tolist() for size in sizes]


def _options(settings: dict[str, Any], **more: Any) -> DecodingOptions:
    named: dict[str, Any] = {_NAMES.get(name, name): value for name, value in settings.items()}
    for name in ("bad_words", "suppress_tokens", "begin_suppress_tokens"):
        if name in named:
            named[name] = tuple(tuple(v) if isinstance(v, list) else v for v in named[name])
    return DecodingOptions(**{"max_new_tokens": 20, "eos": (END,), **named, **more})


@pytest.mark.parametrize("name", usually(GRAPHS, *OFTEN))
def test_texts(
    name: str,
    both: Callable[[Shape, str], Both],
    tally: Callable[..., Tally],
    some: Callable[..., list[list[int]]],
) -> None:
    shape, graph = GRAPHS[name]
    model, session = both(shape, graph)
    cases = [(setting, options, 24) for setting, options in GREEDY.items()]
    cases += [(setting, options, 12) for setting, options in BEAMS.items()]
    for seed, (setting, options, count) in enumerate(cases):
        texts = some(_prompts(count, seed))
        _compare(model, session, texts, options, tally("generation", name, setting))
    # It is forced after a prompt of one token, as where a language stands first.
    ones = some([[token] for token in range(1, 13)])
    _compare(
        model,
        session,
        ones,
        {"forced_bos_token_id": 8, "num_beams": 2, "begin_suppress_tokens": [*range(1, 60, 2)]},
        tally("generation", name, "2 beams, forced start"),
    )
    for seed, (setting, options) in enumerate(DRAWN.items()):
        texts = some(_prompts(8, seed, 6))
        _draws(model, session, texts, seed, options, tally("generation", name, setting))


def _compare(
    model: Any, session: Decoder, texts: list[list[int]], options: dict[str, Any], count: Tally
) -> None:
    peer = Peer(model, texts, {"max_new_tokens": 20, **options})
    made = generate(session, texts, _options(options))
    for number, (own, theirs) in enumerate(zip(made, peer.answers(), strict=True)):
        given = answers_of(own)
        count.add(given, theirs, near(peer, number, given, theirs), where=str(texts[number]))
    count.check(least=len(texts))


def _draws(
    model: Any,
    session: Decoder,
    texts: list[list[int]],
    seed: int,
    settings: dict[str, Any],
    count: Tally,
) -> None:
    """Along the texts that transformers draws, the probabilities of ours are the same."""
    import torch

    torch.manual_seed(seed)
    lengths = {"min_new_tokens": 12, "max_new_tokens": 12}
    drawn, steps = Peer(model, texts, {"do_sample": True, **lengths, **settings}).drawn()
    options = _options(settings, do_sample=True, min_new_tokens=12, max_new_tokens=12)
    sampler, processors = options.sampler(), options.processors()
    decoding, history = session.start(texts), History(session.decoder_prompts(texts), 12)
    worst, apart = np.zeros(len(texts)), np.zeros(len(texts))
    for place, expected in enumerate(steps):
        scores = decoding.logits.copy()
        for process in processors:
            process(history, scores)
        wanted = expected.softmax(-1).numpy()
        for row, line in enumerate(scores):
            tokens, weights = sampler.filtered(line)
            given = np.zeros_like(wanted[row])
            given[slice(None) if tokens is None else tokens] = weights / weights.sum()
            differs = (given > 0) != (wanted[row] > 0)
            if differs.any():  # a filter has cut between tokens that score almost the same
                apart[row] = max(apart[row], float(np.ptp(line[differs])))
            worst[row] = max(worst[row], float(np.abs(given - wanted[row]).max()))
        history.append(drawn[:, place])
        decoding.step(drawn[:, place])
    for row, text in enumerate(drawn.tolist()):
        key = (0, tuple(text))
        reason = "near ties" if 0 < apart[row] < NEAR else None
        count.add(
            [(key, float(worst[row]))],
            [(key, 0.0)],
            lambda _, reason=reason: reason,
            where=f"{texts[row]}, {apart[row]:.1e} apart",
        )
    count.check(least=len(texts))

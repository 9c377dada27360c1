"""The fast graphs of text-to-text models: what becomes of rows, and what the export says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, END, PAD, VOCABULARY, make_seq2seq, prompts
from stack_kit import TRANSFORMERS, needs_optimum

from nlplug.errors import BundleError, ExportError, InputError
from nlplug.export.decoder.encoder_decoder import EncoderDecoderGraphs, export_encoder_decoder
from nlplug.export.decoder.export import save_graph
from nlplug.export.decoder.products import PRECISIONS
from nlplug.runtime.decoding.fast_encoder_decoder import FastEncoderDecoder
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.open import open_encoder_decoder
from nlplug.runtime.decoding.options import DecodingOptions

pytestmark = pytest.mark.train

MARIAN = {"decoder_start_token_id": PAD}
Made = tuple[EncoderDecoderGraphs, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """What an export gives, and its fast graphs opened by precision."""

    @cache
    def make(model_type: str) -> Made:
        folder = tmp_path_factory.mktemp(model_type)
        settings = MARIAN if model_type == "marian" else {}
        graphs = export_encoder_decoder(make_seq2seq(model_type, **settings), folder)
        opened = {}
        for precision, pair in graphs.fast.items():
            paths = [folder / f"{name}-{precision}.onnx" for name in pair]
            for graph, path in zip(pair.values(), paths, strict=True):
                save_graph(graph, path)
            opened[precision] = open_encoder_decoder(*paths, threads=1)
        return graphs, opened

    return make


@pytest.mark.parametrize("name", ["marian", "t5"])
def test_the_fast_graphs_give_the_logits_of_the_plain_ones(
    made: Callable[[str], Made], name: str
) -> None:
    graphs, opened = made(name)
    assert tuple(graphs.fast) == PRECISIONS
    assert graphs.note == f"fast: 2 and 2 layers, {name}"
    assert graphs.difference is not None
    assert graphs.difference < 1e-5
    assert all(isinstance(decoder, FastEncoderDecoder) for decoder in opened.values())


@pytest.mark.parametrize("name", ["marian", "t5"])
@pytest.mark.parametrize("precision", ["int8", "int8-blocks"])
def test_int8_says_nearly_the_same(made: Callable[[str], Made], name: str, precision: str) -> None:
    opened = made(name)[1]
    sources = prompts(40, seed=1)
    exact, rounded = (opened[kind].start(sources) for kind in ("fp32", precision))
    for _ in range(4):
        assert np.abs(exact.logits - rounded.logits).mean() < 0.1 * exact.logits.std()
        rounded.step(exact.next_tokens)
        exact.step(exact.next_tokens)


def test_tied_embeddings_are_kept_once_in_a_graph(made: Callable[[str], Made]) -> None:
    for precision, graphs in made("marian")[0].fast.items():
        size = VOCABULARY * 32 * (4 if precision == "fp32" else 1)
        for graph in graphs.values():
            tensors = graph.graph.initializer
            tables = [one.name for one in tensors if len(one.raw_data) == size]
            assert len([name for name in tables if name.startswith("embeddings")]) == 1
            assert not [one.name for one in tensors if one.name.startswith("head.weight")]


WITHOUT_FAST_FORM: Any = pytest.mark.parametrize(
    ("model_type", "settings", "reason"),
    [
        ("t5", {"d_kv": 4}, "heads of 4 numbers, not a multiple of 8"),
        ("bart", {"activation_function": "tanh"}, "activation 'tanh'"),
    ],
)


@pytest.mark.skipif(TRANSFORMERS < 5, reason="Optimum exports plain graphs")
@WITHOUT_FAST_FORM
def test_what_has_no_fast_form_is_refused_by_name(
    model_type: str, settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason) as caught:
        export_encoder_decoder(make_seq2seq(model_type, **settings), tmp_path)
    assert f"{model_type!r}" in str(caught.value)
    assert "bart, m2m_100, marian, mbart, mt5, pegasus, t5" in str(caught.value.hint)


@needs_optimum
@WITHOUT_FAST_FORM
def test_what_has_no_fast_form_keeps_its_plain_graphs_and_says_so(
    model_type: str, settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    graphs = export_encoder_decoder(make_seq2seq(model_type, **settings), tmp_path)
    assert graphs.fast == {}
    assert graphs.note == f"plain: no fast form for {reason}"
    assert graphs.plain is not None
    assert "encoder_hidden_states" in {
        value.name for value in graphs.plain["decoder_model_merged"].graph.input
    }


def test_fast_graphs_without_metadata_are_refused(tmp_path: Path) -> None:
    graphs = export_encoder_decoder(make_seq2seq("bart"), tmp_path).fast["fp32"]
    paths = [tmp_path / f"{name}.onnx" for name in graphs]
    for graph, path in zip(graphs.values(), paths, strict=True):
        del graph.metadata_props[:]
        save_graph(graph, path)
    with pytest.raises(BundleError, match="lack the entry 'nlplug.seq2seq'"):
        open_encoder_decoder(*paths, start=2, threads=1)


@pytest.mark.parametrize("name", ["marian", "t5"])
def test_a_source_alone_and_in_a_batch_gives_the_same(
    made: Callable[[str], Made], name: str
) -> None:
    session, sources = made(name)[1]["fp32"], prompts(12, seed=2)
    options = DecodingOptions(max_new_tokens=40, eos=tuple(range(END, VOCABULARY, 2)))
    together = generate(session, sources, options)
    assert [generate(session, [source], options)[0] for source in sources] == together
    assert len({len(texts[0].tokens) for texts in together}) > 1  # some end before others


@pytest.mark.parametrize("kept", [[0, 1, 4, 5], [2, 3, 4, 5], [1, 4, 5], [0, 2, 4], [5]])
def test_rows_that_stay_go_on_as_before(made: Callable[[str], Made], kept: list[int]) -> None:
    session = made("t5")[1]["fp32"]
    sources = [[5, 6, 7, END], [9, END], [30, 31, 32, 33, 34, END]]
    all_rows, some_rows = (session.start(sources, copies=2) for _ in range(2))
    tokens = np.array([3, 4, 5, 6, 7, 8])
    for decoding in (all_rows, some_rows):
        decoding.step(tokens)
    order = some_rows.keep(kept)
    assert sorted(order.tolist()) == kept
    for step in range(3):
        np.testing.assert_allclose(some_rows.logits, all_rows.logits[order], atol=1e-5)
        np.testing.assert_array_equal(some_rows.next_tokens, all_rows.next_tokens[order])
        all_rows.step(tokens + step)
        some_rows.step((tokens + step)[order])


def test_rows_follow_others_of_their_source(made: Callable[[str], Made]) -> None:
    session = made("marian")[1]["fp32"]
    sources = [[5, 6, 7, END], [9, END]]
    decoding, other = (session.start(sources, copies=2) for _ in range(2))
    decoding.step(np.array([3, 4, 5, 6]))
    decoding.follow(np.array([1, 1, 3, 2]))
    decoding.step(np.array([8, 9, 10, 11]))
    other.step(np.array([4, 4, 6, 5]))
    other.step(np.array([8, 9, 10, 11]))
    np.testing.assert_allclose(decoding.logits, other.logits, atol=1e-5)


def test_the_graph_ranks_the_tokens(made: Callable[[str], Made]) -> None:
    decoding = made("marian")[1]["fp32"].start([[5, 6, 7, END], [9, END]])
    decoding.rank(7)
    assert decoding.ranking is None
    decoding.step(decoding.next_tokens)
    ranking = decoding.ranking
    order = np.argsort(-decoding.logits, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(ranking.tokens, order)
    sums = np.log(np.exp(decoding.logits).sum(1, keepdims=True))
    np.testing.assert_allclose(ranking.log_sums, sums, rtol=1e-4)


def test_the_cache_grows_with_the_text_and_ends_with_the_positions(
    made: Callable[[str], Made],
) -> None:
    decoding = made("marian")[1]["fp32"].start([[5, END]])
    sizes = set()
    for _ in range(CONTEXT - 1):
        decoding.step(decoding.next_tokens)
        sizes.add(decoding.cache.capacity)
    assert sizes == {32, 64, 96, 128}
    with pytest.raises(InputError, match=f"context of {CONTEXT} tokens"):
        decoding.step(decoding.next_tokens)


def test_sources_of_another_vocabulary_or_too_long_are_refused(
    made: Callable[[str], Made],
) -> None:
    session = made("marian")[1]["fp32"]
    for source, message in (
        ([], "no tokens"),
        ([VOCABULARY], f"0 to {VOCABULARY - 1}"),
        ([5] * (CONTEXT + 1), f"context is {CONTEXT}"),
    ):
        with pytest.raises(InputError, match=message):
            session.start([source])

"""How many threads decode changes nothing in what is decoded."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import END, make_model, prompts

from nlplug.errors import InputError
from nlplug.export.decoder.builder import build
from nlplug.export.decoder.export import save_graph
from nlplug.export.decoder.products import PRECISIONS, products_of
from nlplug.export.decoder.read import read_decoder
from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import Decoding
from nlplug.runtime.decoding.fast import FastCausalDecoding, FastDecoder
from nlplug.runtime.decoding.generate import generate, stream
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.sessions import ParallelDecoding

pytestmark = pytest.mark.train
SETTINGS: list[dict[str, Any]] = [
    {},
    {"num_beams": 3, "num_return_sequences": 3},
    {"do_sample": True, "top_k": 9, "top_p": 0.9, "seed": 2, "num_return_sequences": 2},
    {"repetition_penalty": 1.3, "logprobs": True},
    {"suppress_tokens": (3, 4), "do_sample": True, "min_p": 0.2, "seed": 1},
]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A graph in each precision."""
    weights = read_decoder(make_model("llama"))
    made = {}
    for precision in PRECISIONS:
        made[precision] = tmp_path_factory.mktemp("parallel") / f"{precision}.onnx"
        save_graph(build(weights, products_of(precision)), made[precision])
    return made


@pytest.fixture
def one(paths: dict[str, Path]) -> FastDecoder:
    return open_decoder(paths["fp32"], threads=1)


@pytest.fixture
def parallel(paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> FastDecoder:
    """A session that gives each of three threads rows of its own, however few there are."""
    session = open_decoder(paths["fp32"], threads=3)
    session.sessions.plan(0, 1)
    return session


def parts_of(decoding: Decoding) -> tuple[Decoding, ...]:
    assert isinstance(decoding, ParallelDecoding)
    return decoding.parts


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_parallel_decodings_give_the_same_texts(
    one: FastDecoder, parallel: FastDecoder, settings: dict[str, Any]
) -> None:
    texts = prompts(11)
    options = DecodingOptions(max_new_tokens=20, eos=(END,), **settings)
    made, expected = generate(parallel, texts, options), generate(one, texts, options)
    for row, wanted in zip(made, expected, strict=True):
        assert [text.tokens for text in row] == [text.tokens for text in wanted]
        for text, other in zip(row, wanted, strict=True):
            assert text.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            assert text.score == pytest.approx(other.score, abs=1e-4)


def test_rows_keep_their_order_when_some_of_them_end(parallel: FastDecoder) -> None:
    texts = [[number, 5] for number in range(1, 10)]
    decoding = parallel.start(texts)
    assert [part.rows for part in parts_of(decoding)] == [3, 3, 3]
    order = decoding.keep([0, 2, 6, 7])
    assert sorted(order) == [0, 2, 6, 7]
    assert [part.rows for part in parts_of(decoding)] == [2, 2]
    decoding.step(np.full(4, 9))
    expected = parallel.start([[*texts[row], 9] for row in order])
    assert np.abs(decoding.logits - expected.logits).max() < 1e-4
    np.testing.assert_array_equal(decoding.lengths, [3] * 4)


def test_an_error_in_one_part_is_raised_after_all_have_ended(parallel: FastDecoder) -> None:
    decoding = parallel.start([[1] * 5, [1] * 128, [1] * 7])
    with pytest.raises(InputError, match="context of 128"):
        decoding.step(np.array([1, 1, 1]))


@pytest.mark.parametrize(
    ("precision", "rows", "parts"),
    [("int8", 8, 1), ("int8", 16, 2), ("int8", 40, 2), ("fp32", 40, 1), ("int8-blocks", 40, 1)],
)
def test_many_rows_in_int8_are_decoded_in_parallel(
    paths: dict[str, Path], precision: str, rows: int, parts: int
) -> None:
    decoding = open_decoder(paths[precision], threads=2).start([[1, 2]] * rows)
    found = decoding.parts if isinstance(decoding, ParallelDecoding) else (decoding,)
    assert [part.rows for part in found] == [rows // parts] * parts
    assert isinstance(found[0], FastCausalDecoding)


def test_few_rows_of_a_small_model_open_one_session_alone(paths: dict[str, Path]) -> None:
    session = open_decoder(paths["int8"], threads=2)
    assert session.spec.one_thread > 8
    session.start([[1, 2]] * 8)
    assert session.sessions.opened == (1,)


@pytest.mark.parametrize("settings", SETTINGS[:3], ids=str)
def test_generations_go_on_side_by_side_in_one_session(
    parallel: FastDecoder, settings: dict[str, Any]
) -> None:
    groups = [prompts(5, seed=seed) for seed in range(6)]
    options = DecodingOptions(max_new_tokens=12, eos=(END,), **settings)

    def run(texts: list[list[int]]) -> list[list[list[int]]]:
        return [[text.tokens for text in row] for row in generate(parallel, texts, options)]

    expected = [run(texts) for texts in groups]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(run, groups)) == expected


@pytest.mark.parametrize("rows", [1, 4])
def test_leaving_a_stream_frees_its_cache(parallel: FastDecoder, rows: int) -> None:
    def caches() -> int:
        return sum(type(thing) is Cache for thing in gc.get_objects())

    before = caches()
    tokens = stream(parallel, prompts(rows), DecodingOptions(max_new_tokens=50))
    next(tokens)
    assert caches() == before + min(rows, 3)
    tokens.close()
    assert caches() == before

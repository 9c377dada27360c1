"""Sampling: the filters of transformers, and draws that follow the probabilities and the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from decoding_kit import END, Pair, prompts
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as peers

import nlplug
from nlplug.errors import InputError, OptionError
from nlplug.runtime.decoding import sampling
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.ranking import rank, top_places, top_sorted
from nlplug.runtime.decoding.sampling import Sampler, generators

pytestmark = pytest.mark.train
ROWS, VOCABULARY = 8, 3000


@pytest.fixture(params=[0.5, 4.0])
def scores(request: pytest.FixtureRequest) -> np.ndarray:
    """Flat and peaked distributions, with some tokens banned."""
    random = np.random.default_rng(0)
    made = (random.standard_normal((ROWS, VOCABULARY)) * request.param).astype(np.float32)
    made[:, ::7] = -np.inf
    return made


CASES = {
    "temperature": (Sampler(temperature=0.6), [peers.TemperatureLogitsWarper(0.6)]),
    "top-k": (Sampler(top_k=50), [peers.TopKLogitsWarper(50)]),
    "top-k of one": (Sampler(top_k=1), [peers.TopKLogitsWarper(1)]),
    "top-k of most": (Sampler(top_k=2500), [peers.TopKLogitsWarper(2500)]),
    "top-p": (Sampler(top_p=0.9), [peers.TopPLogitsWarper(0.9)]),
    "top-p of nearly nothing": (Sampler(top_p=1e-4), [peers.TopPLogitsWarper(1e-4)]),
    "min-p": (Sampler(min_p=0.05), [peers.MinPLogitsWarper(0.05)]),
    "typical": (Sampler(typical_p=0.8), [peers.TypicalLogitsWarper(0.8)]),
    "all": (
        Sampler(temperature=1.4, top_k=40, top_p=0.95, min_p=0.02, typical_p=0.9),
        [
            peers.TemperatureLogitsWarper(1.4),
            peers.TopKLogitsWarper(40),
            peers.TopPLogitsWarper(0.95),
            peers.MinPLogitsWarper(0.02),
            peers.TypicalLogitsWarper(0.9),
        ],
    ),
}


def probabilities(sampler: Sampler, scores: np.ndarray) -> np.ndarray:
    """What is left of each row, over the whole vocabulary."""
    made = np.zeros_like(scores)
    for row, line in zip(made, scores, strict=True):
        tokens, weights = sampler.filtered(line)
        row[slice(None) if tokens is None else tokens] = weights / weights.sum()
    return made


@pytest.mark.parametrize("name", CASES)
def test_filters_leave_what_those_of_transformers_leave(name: str, scores: np.ndarray) -> None:
    sampler, warpers = CASES[name]
    expected = torch.tensor(scores)
    for warper in warpers:
        expected = warper(None, expected)
    made = probabilities(sampler, scores)
    np.testing.assert_array_equal(made > 0, np.asarray(expected.softmax(-1)) > 0)
    np.testing.assert_allclose(made, np.asarray(expected.softmax(-1)), rtol=1e-4, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400).flatmap(
        lambda size: st.tuples(st.just(size), st.integers(1, size), st.integers(0, 2**32 - 1))
    )
)
def test_the_largest_numbers_are_found_ties_and_all(case: tuple[int, int, int]) -> None:
    size, count, seed = case
    random = np.random.default_rng(seed)
    values = random.integers(0, 60, (3, size)).astype(np.float32)
    found, order = top_sorted(values, count)
    for row in values:
        floor = np.sort(row)[-count]
        np.testing.assert_array_equal(top_places(row, count), np.flatnonzero(row >= floor))
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(found, np.take_along_axis(values, expected, 1))


@pytest.mark.parametrize("sampler", [Sampler(), Sampler(top_k=3), Sampler(top_p=0.7)], ids=str)
def test_draws_follow_the_probabilities(sampler: Sampler) -> None:
    scores = np.array([[0.1, 2.0, -np.inf, 1.0, 1.5, -3.0]], np.float32)
    draws = 4000
    source = np.random.default_rng(5)
    drawn = [sampler.sample(scores, [source])[0] for _ in range(draws)]
    expected = probabilities(sampler, scores)[0]
    spread = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(np.bincount(drawn, minlength=6) / draws - expected) <= 4 * spread).all()


def test_a_token_without_probability_is_never_drawn() -> None:
    class Edge:
        def random(self) -> float:
            return 1.0

    scores = np.array([[-np.inf, 0.0, 0.0, -np.inf]], np.float32)
    assert Sampler().sample(scores, [Edge()])[0] == 2  # type: ignore[list-item]


def test_a_row_without_any_token_left_is_refused() -> None:
    with pytest.raises(InputError, match="all of them are banned"):
        Sampler().sample(np.full((1, 4), -np.inf, np.float32), generators(0, 1))


def test_a_seed_repeats_the_draws_whatever_the_batch(pair: Callable[[str], Pair]) -> None:
    session, texts = pair("gpt2").session, prompts(5, seed=1)
    options = DecodingOptions(
        max_new_tokens=16, do_sample=True, top_k=20, top_p=0.95, seed=3, eos=(END,)
    )
    first = generate(session, texts, options)
    assert generate(session, texts, options) == first
    assert generate(session, texts[:2], options) == first[:2]
    other = DecodingOptions(
        max_new_tokens=16, do_sample=True, top_k=20, top_p=0.95, seed=4, eos=(END,)
    )
    assert generate(session, texts, other) != first


def test_several_texts_of_a_prompt_differ(pair: Callable[[str], Pair]) -> None:
    options = DecodingOptions(max_new_tokens=12, do_sample=True, num_return_sequences=4, seed=0)
    made = generate(pair("llama").session, prompts(2, seed=2), options)
    assert [len(row) for row in made] == [4, 4]
    for row in made:
        assert len({tuple(text.tokens) for text in row}) == 4


def test_drawing_one_token_is_greedy_decoding(pair: Callable[[str], Pair]) -> None:
    session, texts = pair("qwen2").session, prompts(6, seed=3)
    greedy = DecodingOptions(max_new_tokens=12, eos=(END,))
    drawn = DecodingOptions(max_new_tokens=12, eos=(END,), do_sample=True, top_k=1)
    assert generate(session, texts, drawn) == generate(session, texts, greedy)


@pytest.mark.parametrize(
    "sampler",
    [
        Sampler(top_k=50, top_p=0.95),
        Sampler(top_k=7, temperature=0.6),
        Sampler(top_p=0.9),
        Sampler(top_p=0.999),  # more than the ranking has
        Sampler(top_p=0.8, temperature=1.7),
        Sampler(min_p=0.04, top_p=0.9),
        Sampler(top_k=20, typical_p=0.7),
    ],
    ids=str,
)
def test_a_row_alone_draws_what_it_draws_among_others(sampler: Sampler) -> None:
    scores = np.random.default_rng(3).normal(0, 2, (64, 600)).astype(np.float32)
    scores[:8] = scores[:8].round()  # many are equal
    ranking = rank(scores, sampler.ranking_size(scores.shape[1]))
    together = sampler.sample(scores, generators(5, len(scores)), ranking)
    alone = [
        sampler.sample(
            scores[row : row + 1],
            generators(5, len(scores))[row : row + 1],
            rank(scores[row : row + 1], sampler.ranking_size(scores.shape[1])),
        )[0]
        for row in range(len(scores))
    ]
    assert together.tolist() == alone
    unranked = sampler.sample(scores, generators(5, len(scores)))
    assert together.tolist() == unranked.tolist()


@pytest.fixture
def _unseeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_fresh", sampling._Fresh())


@pytest.mark.usefixtures("_unseeded")
def test_a_seed_for_the_process_makes_calls_without_a_seed_repeatable() -> None:
    def drawn() -> list[float]:
        return [float(one.random()) for _ in range(2) for one in generators(None, 2, 2)]

    assert drawn() != drawn()
    nlplug.set_seed(7)
    first = drawn()
    assert len(set(first)) == 8
    nlplug.set_seed(7)
    assert drawn() == first != drawn()


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
@pytest.mark.usefixtures("_unseeded")
def test_a_seed_for_the_process_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(OptionError, match="seed"):
        nlplug.set_seed(seed)

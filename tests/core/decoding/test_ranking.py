"""The graph ranks the likeliest tokens, and what is chosen from its ranking is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from decoding_kit import END, VOCABULARY, Pair, prompts

from nlplug.runtime.decoding import processors as p
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.ranking import log_sum_exp, rank
from nlplug.runtime.decoding.sampling import Sampler, generators

pytestmark = pytest.mark.train
SAMPLERS = [
    Sampler(top_k=20),
    Sampler(top_k=20, top_p=0.8, temperature=0.7),
    Sampler(top_k=30, min_p=0.05, typical_p=0.9),
    Sampler(top_p=0.9),
    Sampler(top_p=0.9, temperature=1.7),
    Sampler(min_p=0.1),
    Sampler(min_p=0.01, typical_p=0.5, temperature=0.8),
]


@pytest.fixture(params=["peaked", "flat", "tied"])
def scores(request: pytest.FixtureRequest) -> np.ndarray:
    """Of a flat row no ranking is long enough; ties leave more tokens than were asked for."""
    random = np.random.default_rng(0)
    made = (
        random.standard_normal((40, 1000))
        * {"peaked": 4.0, "flat": 0.1, "tied": 2.0}[request.param]
    )
    return (np.round(made) if request.param == "tied" else made).astype(np.float32)


def test_the_graph_ranks_as_numpy_does(pair: Callable[[str], Pair]) -> None:
    decoding = pair("llama").session.start(prompts(5), copies=2)
    assert decoding.rank(12)
    assert decoding.ranking is None
    for _ in range(3):
        decoding.step(decoding.next_tokens)
        made, expected = decoding.ranking, rank(decoding.logits, 12)
        assert made is not None
        np.testing.assert_array_equal(made.tokens, expected.tokens)
        np.testing.assert_array_equal(made.logits, expected.logits)
        np.testing.assert_allclose(made.log_sums, expected.log_sums, rtol=1e-5, atol=1e-5)
    decoding.keep([1, 4])
    assert decoding.ranking is not None
    assert decoding.ranking.tokens.shape == (2, 12)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True, "top_k": VOCABULARY - 1, "suppress_tokens": (3, 4), "seed": 0},
        {"do_sample": True, "top_k": 0, "seed": 0},
        {"num_beams": 32, "eos": (1, 2, 3)},
    ],
    ids=str,
)
def test_no_more_tokens_are_ranked_than_there_are(
    pair: Callable[[str], Pair], settings: dict[str, Any]
) -> None:
    options = DecodingOptions(max_new_tokens=3, **settings)
    assert generate(pair("llama").session, [[5]], options)[0][0].tokens


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_draws_from_a_ranking_are_those_from_all_scores(
    sampler: Sampler, scores: np.ndarray
) -> None:
    ranking = rank(scores, sampler.ranking_size(scores.shape[1]))
    for seed in range(5):
        drawn = sampler.sample(scores, generators(seed, len(scores)), ranking)
        expected = sampler.sample(scores, generators(seed, len(scores)))
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_banned_tokens_are_left_out_of_a_ranking(sampler: Sampler, scores: np.ndarray) -> None:
    banned = (*scores[0].argsort()[-3:].tolist(), 999)
    ranking = rank(scores, sampler.ranking_size(scores.shape[1]) + len(banned)).without(banned)
    changed = p.process_scores(scores, [p.SuppressTokens(banned)], History([[1]] * len(scores), 1))
    peaks = ranking.logits[:, :1]
    ranking = replace(ranking, peaks=peaks, shares=np.exp(peaks - log_sum_exp(changed)))
    drawn = sampler.sample(changed, generators(3, len(scores)), ranking)
    np.testing.assert_array_equal(drawn, sampler.sample(changed, generators(3, len(scores))))
    assert not np.isin(drawn, banned).any()


@pytest.mark.parametrize("sampler", SAMPLERS[:3], ids=str)
def test_a_ranking_is_made_again_where_scores_become_lower(
    sampler: Sampler, scores: np.ndarray
) -> None:
    random = np.random.default_rng(1)
    ranking = rank(scores, sampler.top_k + 20)
    history = History([random.choice(ranking.tokens[row], 15).tolist() for row in range(40)], 1)
    processors = [p.RepetitionPenalty(1.3), p.NoRepeatNgram(1)]
    lower = p.process_scores(scores, processors, history)
    assert all(process.only_lowers() for process in processors)
    again = ranking.lowered(lower)
    assert again is not None
    drawn = sampler.sample(lower, generators(3, len(scores)), again)
    np.testing.assert_array_equal(drawn, sampler.sample(lower, generators(3, len(scores))))
    assert not any(token in history.row(row) for row, token in enumerate(drawn))
    assert ranking.lowered(np.full_like(scores, -np.inf)) is None


def test_penalties_that_may_raise_scores_are_told() -> None:
    assert not p.RepetitionPenalty(0.9).only_lowers()
    assert not p.FrequencyPenalty(0.5, -0.1).only_lowers()
    assert not p.ForcedEnd(0, 5).only_lowers()


def test_what_only_bans_is_told_apart_from_what_looks_at_the_text() -> None:
    options = DecodingOptions(
        max_new_tokens=5,
        min_new_tokens=2,
        eos=(END,),
        bad_words=((7,), (9,)),
        suppress_tokens=(4,),
        forced_eos=END,
    )
    processors, history = options.processors(), History([[1, 2]], 5)
    told = []
    for token in range(5):
        working, banned = p.active_processors(processors, history)
        told.append((len(working), banned))
        history.append(np.array([token]))
    assert told == [(3, (END, 4, 7, 9))] * 2 + [(2, (4, 7, 9))] * 2 + [(3, None)]
    assert p.max_banned(processors) == 4
    words = DecodingOptions(bad_words=((7, 8),)).processors()
    assert p.active_processors(words, history) == (words, None)


@pytest.mark.parametrize("settings", [{}, {"do_sample": True, "top_k": 8, "seed": 1}], ids=str)
def test_banned_tokens_never_come(pair: Callable[[str], Pair], settings: dict[str, int]) -> None:
    session, texts = pair("gpt2").session, prompts(6)
    free = generate(session, texts, DecodingOptions(max_new_tokens=8, **settings))
    banned = tuple({token for row in free for token in row[0].tokens[1:3]})
    options = DecodingOptions(max_new_tokens=8, suppress_tokens=banned, **settings)
    for row in generate(session, texts, options):
        assert not set(row[0].tokens) & set(banned)


def test_beams_of_a_ranking_are_those_of_all_scores(pair: Callable[[str], Pair]) -> None:
    session, texts = pair("llama").session, prompts(4)
    given = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 5, "eos": (END,)}
    banned = {
        token
        for beams in generate(session, texts, DecodingOptions(**given))
        for one in beams
        for token in one.tokens
    } - {END}
    ranked = generate(session, texts, DecodingOptions(suppress_tokens=tuple(banned), **given))
    others = [token for token in range(VOCABULARY) if token not in banned]
    asked = DecodingOptions(allowed_tokens=lambda number, ids: others, **given)
    expected = generate(session, texts, asked)
    assert [[one.tokens for one in beams] for beams in ranked] == [
        [one.tokens for one in beams] for beams in expected
    ]

"""Each change of the scores gives the numbers of transformers on random scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from decoding_kit import END, VOCABULARY, Pair, prompts, reference
from transformers.generation import logits_process as peers

from nlplug.errors import InputError, OptionError
from nlplug.runtime.decoding import processors as ours
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.history import History
from nlplug.runtime.decoding.options import DecodingOptions

pytestmark = pytest.mark.train
ROWS, PROMPT, NEW, LIMIT = 6, 4, 9, 10


@pytest.fixture
def tokens() -> np.ndarray:
    """Few different ones, so that they repeat."""
    return np.random.default_rng(0).integers(0, 5, (ROWS, PROMPT + NEW))


def changed(processor: ours.Processor, tokens: np.ndarray, prompt: int) -> np.ndarray:
    history = History(tokens[:, :prompt].tolist(), room=2)
    for column in tokens[:, prompt:].T:
        history.append(column)
    scores = np.random.default_rng(1).standard_normal((len(tokens), VOCABULARY))
    scores = scores.astype(np.float32)
    processor(history, scores)
    return scores


def peer_scores(processor: peers.LogitsProcessor, tokens: np.ndarray) -> np.ndarray:
    scores = np.random.default_rng(1).standard_normal((len(tokens), VOCABULARY))
    made = processor(torch.tensor(tokens), torch.tensor(scores.astype(np.float32)))
    return np.asarray(made)


WORDS = ((3,), (1, 2), (4, 0, 1), (END,))
PAIRS = {
    "repetition": (ours.RepetitionPenalty(1.3), peers.RepetitionPenaltyLogitsProcessor(1.3)),
    "repetition below 1": (
        ours.RepetitionPenalty(0.7),
        peers.RepetitionPenaltyLogitsProcessor(0.7),
    ),
    "bad words": (
        ours.BadWords(WORDS[:3]),
        peers.NoBadWordsLogitsProcessor([list(word) for word in WORDS], torch.tensor([END])),
    ),
    "minimum reached": (
        ours.MinNewTokens(NEW, (END, 3)),
        peers.MinNewTokensLengthLogitsProcessor(PROMPT, NEW, torch.tensor([END, 3])),
    ),
    "minimum not reached": (
        ours.MinNewTokens(NEW + 1, (END, 3)),
        peers.MinNewTokensLengthLogitsProcessor(PROMPT, NEW + 1, torch.tensor([END, 3])),
    ),
    "end forced": (
        ours.ForcedEnd(END, LIMIT),
        peers.ForcedEOSTokenLogitsProcessor(PROMPT + LIMIT, END, device="cpu"),
    ),
    "end not yet forced": (
        ours.ForcedEnd(END, LIMIT + 1),
        peers.ForcedEOSTokenLogitsProcessor(PROMPT + LIMIT + 1, END, device="cpu"),
    ),
    "suppressed": (
        ours.SuppressTokens((2, 90)),
        peers.SuppressTokensLogitsProcessor([2, 90], device="cpu"),
    ),
    "suppressed first": (
        ours.SuppressFirst((2, 90)),
        peers.SuppressTokensAtBeginLogitsProcessor([2, 90], PROMPT, device="cpu"),
    ),
    "allowed": (
        ours.PrefixConstraint(lambda number, ids: [number, int(ids[-1]) + 10]),
        peers.PrefixConstrainedLogitsProcessor(
            lambda number, ids: [number, int(ids[-1]) + 10], num_beams=1
        ),
    ),
    "first forced, later": (ours.ForcedFirst(8), peers.ForcedBOSTokenLogitsProcessor(8)),
    **{
        f"{size}-grams": (ours.NoRepeatNgram(size), peers.NoRepeatNGramLogitsProcessor(size))
        for size in (1, 2, 3, 20)
    },
}


@pytest.mark.parametrize("name", PAIRS)
def test_scores_are_those_of_transformers(name: str, tokens: np.ndarray) -> None:
    mine, theirs = PAIRS[name]
    np.testing.assert_allclose(
        changed(mine, tokens, PROMPT), peer_scores(theirs, tokens), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["suppressed first", "first forced, later"])
def test_the_first_new_token_is_special(name: str, tokens: np.ndarray) -> None:
    length = PROMPT if name == "suppressed first" else 1
    mine, theirs = PAIRS[name]
    start = tokens[:, :length]
    np.testing.assert_array_equal(changed(mine, start, length), peer_scores(theirs, start))


def test_what_is_suppressed_first_is_suppressed_after_a_forced_start() -> None:
    history = History([[3], [3, 4]], 2)
    process = ours.SuppressFirst((2, 90), forced=True)
    banned = []
    for _ in range(3):
        scores = np.zeros((2, VOCABULARY), np.float32)
        process(history, scores)
        banned.append((scores == -np.inf).any(axis=1).tolist())
        history.append(np.array([8, 8]))
    assert banned == [[False, True], [True, False], [False, False]]


def test_frequency_counts_new_tokens_and_presence_counts_them_once(tokens: np.ndarray) -> None:
    made = changed(ours.FrequencyPenalty(frequency=0.5, presence=2.0), tokens, PROMPT)
    plain = changed(ours.SuppressTokens(()), tokens, PROMPT)
    for row, new in enumerate(tokens[:, PROMPT:]):
        counts = np.bincount(new, minlength=VOCABULARY)
        expected = plain[row] - (0.5 * counts + 2.0 * (counts > 0)).astype(np.float32)
        np.testing.assert_allclose(made[row], expected, rtol=1e-5)


def test_a_bad_word_longer_than_the_text_before_it_is_banned_too() -> None:
    made = changed(ours.BadWords(((1, 2, 3),)), np.array([[1, 2]]), 2)
    assert made[0, 3] == -np.inf


@pytest.mark.parametrize(
    "settings",
    [
        {"repetition_penalty": 1.8},
        {"no_repeat_ngram_size": 2},
        {"min_new_tokens": 24},
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 10},
    ],
    ids=str,
)
def test_greedy_decoding_with_them_gives_the_tokens_of_transformers(
    pair: Callable[[str], Pair], settings: dict[str, float]
) -> None:
    texts = [text[:4] for text in prompts(60, seed=2) if len(text) >= 4]
    expected = reference(pair("gpt2").model, texts, **settings)
    options = DecodingOptions(max_new_tokens=24, eos=(END,), **settings)
    made = generate(pair("gpt2").session, texts, options)
    assert [[text.tokens for text in row] for row in made] == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"suppress_tokens": (VOCABULARY,)}, f"suppress_tokens has the token {VOCABULARY}"),
        ({"bad_words": ((3, -1),)}, "bad_words has the token -1"),
        ({"forced_eos": 999}, "forced_eos has the token 999"),
        ({"eos": (500,), "min_new_tokens": 2}, "eos has the token 500"),
        ({"forced_bos": 999, "num_beams": 2}, "forced_bos has the token 999"),
    ],
)
def test_a_token_that_the_model_does_not_have_is_refused(
    pair: Callable[[str], Pair], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        generate(pair("gpt2").session, [[1]], DecodingOptions(**settings))


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "drawn": {"do_sample": True, "seed": 1},
    "drawn, top-k": {"do_sample": True, "seed": 1, "top_k": 5},
    "2 beams": {"num_beams": 2},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "settings",
    [
        {"allowed_tokens": lambda number, ids: []},
        {"allowed_tokens": lambda number, ids: [7] if len(ids) < 4 else ()},
        {"suppress_tokens": tuple(range(VOCABULARY))},
        {"bad_words": tuple((token,) for token in range(VOCABULARY))},
        {"suppress_tokens": (*range(1, VOCABULARY),), "eos": (0,), "min_new_tokens": 2},
    ],
    ids=["nothing allowed", "nothing later", "suppressed", "bad words", "no end yet"],
)
def test_a_text_that_no_token_may_follow_is_refused(
    pair: Callable[[str], Pair], way: str, settings: dict[str, Any]
) -> None:
    options = DecodingOptions(**{"max_new_tokens": 6, **settings, **WAYS[way]})
    with pytest.raises(InputError, match="all of them are banned"):
        generate(pair("gpt2").session, [[1, 2], [3]], options)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([3, 999999], "allows the token 999999; the model's tokens are 0 to 95"),
        ([-1], "allows the token -1"),
        ([2**70], "not a list of tokens"),
        ([1.5], "not a list of tokens"),
        ([True, False], "not a list of tokens"),
        ([[1, 2], [3]], "not a list of tokens"),
        (np.ones((2, 2), np.int64), "not a list of tokens"),
        ("ab", "not a list of tokens"),
        (None, "not a list of tokens"),
        (5, "not a list of tokens"),
    ],
)
def test_what_a_constraint_allows_must_be_tokens_of_the_model(
    pair: Callable[[str], Pair], way: str, allowed: Any, message: str
) -> None:
    options = DecodingOptions(allowed_tokens=lambda number, ids: allowed, **WAYS[way])
    with pytest.raises(OptionError, match=message):
        generate(pair("gpt2").session, [[1]], options)


@pytest.mark.parametrize("allowed", [[4, 6], (4, 6), {4, 6}, np.array([4, 6], np.uint16)])
def test_a_constraint_may_give_its_tokens_in_any_collection(
    pair: Callable[[str], Pair], allowed: Any
) -> None:
    options = DecodingOptions(max_new_tokens=5, allowed_tokens=lambda number, ids: allowed)
    [[text]] = generate(pair("gpt2").session, [[1]], options)
    assert set(text.tokens) <= {4, 6}


def test_a_constraint_may_write_to_the_tokens_that_it_is_shown(
    pair: Callable[[str], Pair],
) -> None:
    shown: list[list[int]] = []

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        shown.append(ids.tolist())
        ids[:] = 0
        return [7]

    generate(
        pair("gpt2").session, [[1, 2]], DecodingOptions(max_new_tokens=3, allowed_tokens=allowed)
    )
    assert shown == [[1, 2], [1, 2, 7], [1, 2, 7, 7]]

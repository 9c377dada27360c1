"""Beam search finds the beams of transformers, in its order and with its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from decoding_kit import END, Pair, prompts, reference
from stack_kit import TRANSFORMERS

from nlplug.errors import OptionError
from nlplug.runtime.decoding.generate import generate, stream
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.sampling import set_seed

pytestmark = pytest.mark.train
PairOf = Callable[[str], Pair]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 2, "num_return_sequences": 2},
        {"num_return_sequences": 4},
        {"length_penalty": 0.0},
        {"length_penalty": 2.0, "num_return_sequences": 3},
        {"length_penalty": -1.0, "early_stopping": True},
        {"early_stopping": True, "num_return_sequences": 2},
        {"early_stopping": "never"},
        {"early_stopping": "never", "length_penalty": 2.0},
        {"num_beams": 7, "max_new_tokens": 5},
        {"num_beams": 40, "max_new_tokens": 5},
        {"repetition_penalty": 1.5},
        {"no_repeat_ngram_size": 2, "min_new_tokens": 6},
    ],
    ids=lambda settings: ",".join(f"{name}={value}" for name, value in settings.items()) or "plain",
)
def test_the_beams_are_those_of_transformers(pair: PairOf, settings: dict[str, Any]) -> None:
    # Of one length, for transformers sees its own padding as a part of the text.
    texts = [text[:5] for text in prompts(60, longest=12) if len(text) >= 5][:20]
    given = {"num_beams": 4, "max_new_tokens": 16, **settings}
    expected = reference(pair("gpt2").model, texts, **given)
    made = generate(pair("gpt2").session, texts, DecodingOptions(eos=(END,), **given))
    assert [[text.tokens for text in row] for row in made] == expected


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_prompts_of_unequal_lengths_do_not_disturb_each_other(pair: PairOf, name: str) -> None:
    texts = prompts(30, seed=1)
    expected = reference(pair(name).model, texts, num_beams=3)
    made = generate(
        pair(name).session, texts, DecodingOptions(max_new_tokens=24, num_beams=3, eos=(END,))
    )
    assert [[text.tokens for text in row] for row in made] == expected


@pytest.mark.skipif(
    TRANSFORMERS >= 5, reason="transformers 5 ranks sampled beams in another way than 4.57"
)
@pytest.mark.parametrize(
    "settings",
    [
        {"num_beams": 2, "top_k": 9, "temperature": 0.25},
        {"num_beams": 3, "top_p": 0.2, "top_k": 0, "eos": (END, 7)},
        {"num_beams": 2, "min_p": 0.9, "top_k": 0, "length_penalty": 0.5, "eos": (END, 7)},
    ],
    ids=lambda settings: ",".join(settings),
)
def test_sampled_beams_have_the_distribution_of_those_of_transformers(
    pair: PairOf, settings: dict[str, Any]
) -> None:
    import torch

    count, text = 400, [5, 9, 23]
    eos = settings.pop("eos", (END,))
    given = {"do_sample": True, "max_new_tokens": 3, **settings}
    torch.manual_seed(2)
    expected = reference(pair("gpt2").model, [text] * count, eos_token_id=[*eos], **given)
    set_seed(2)
    made = generate(pair("gpt2").session, [text] * count, DecodingOptions(eos=eos, **given))

    both = [Counter(str(texts) for texts in expected)]
    both.append(Counter(str([one.tokens for one in texts]) for texts in made))
    common = [key for key, number in (both[0] + both[1]).items() if number >= 8]
    pairs = np.array([[side[key] for side in both] for key in common])
    pairs = np.vstack([pairs, count - pairs.sum(axis=0)])
    pairs = pairs[pairs.sum(axis=1) > 0]
    # The chi-squared statistic of two samples of the same size, within 5 standard deviations.
    statistic = float(((pairs[:, 0] - pairs[:, 1]) ** 2 / pairs.sum(axis=1)).sum())
    free = len(pairs) - 1
    assert free >= 3
    assert statistic < free + 5 * (2 * free) ** 0.5


def test_sampled_beams_of_one_seed_are_the_same_for_each_prompt(pair: PairOf) -> None:
    texts = prompts(4, seed=4)
    options = DecodingOptions(num_beams=2, do_sample=True, seed=3, max_new_tokens=8, eos=(END,))
    together = generate(pair("gpt2").session, texts, options)
    assert together == [generate(pair("gpt2").session, [text], options)[0] for text in texts]
    plain = options.model_copy(update={"do_sample": False})
    assert generate(pair("gpt2").session, texts, plain) != together


def test_several_tokens_may_end_a_text(pair: PairOf) -> None:
    texts = prompts(12, seed=2)
    ends = [END, 7, 21]
    options = DecodingOptions(max_new_tokens=12, num_beams=3, eos=tuple(ends))
    made = generate(pair("gpt2").session, texts, options)
    expected = reference(
        pair("gpt2").model, texts, num_beams=3, max_new_tokens=12, eos_token_id=ends
    )
    for row, wanted in zip(made, expected, strict=True):
        tokens = row[0].tokens
        assert tokens == wanted[0][: len(tokens)]
        assert row[0].finish == ("eos" if tokens[-1] in ends else "length")


def test_scores_are_those_of_transformers(pair: PairOf) -> None:
    import torch

    model, session = pair("gpt2").model, pair("gpt2").session
    text = prompts(1, seed=3)[0]
    with torch.no_grad():
        expected = model.generate(
            torch.tensor([text]),
            num_beams=4,
            num_return_sequences=4,
            max_new_tokens=10,
            length_penalty=0.7,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        ).sequences_scores
    options = DecodingOptions(
        max_new_tokens=10, num_beams=4, num_return_sequences=4, length_penalty=0.7, eos=(END,)
    )
    made = generate(session, [text], options)[0]
    assert [beam.score for beam in made] == pytest.approx(expected.tolist(), abs=1e-5)


def test_beams_that_part_and_meet_keep_their_own_cache(pair: PairOf) -> None:
    session = pair("llama").session
    random = np.random.default_rng(0)
    decoding = session.start(prompts(2, seed=4), copies=3)
    texts = [list(text) for text in prompts(2, seed=4) for _ in range(3)]
    for _ in range(20):
        parents = np.concatenate([random.integers(0, 3, 3), random.integers(3, 6, 3)])
        tokens = random.integers(1, 96, 6)
        decoding.follow(parents)
        grown = zip(parents, tokens.tolist(), strict=True)
        texts = [[*texts[parent], token] for parent, token in grown]
        decoding.step(tokens)
    expected = session.start(texts)
    assert np.abs(decoding.logits - expected.logits).max() < 1e-4


def test_beams_end_where_the_context_is_full(pair: PairOf) -> None:
    options = DecodingOptions(max_new_tokens=50, num_beams=2)
    made = generate(pair("gpt2").session, [[1] * 120, [2]], options)
    assert [len(row[0].tokens) for row in made] == [9, 50]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 2, "num_return_sequences": 3}, "3, but there are 2 beams"),
        ({"num_beams": 1025}, "num_beams is 1025"),
        ({"num_beams": 2, "logprobs": True}, "logprobs"),
        ({"num_return_sequences": 2}, "same text"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": -4}, "max_new_tokens is -4"),
        ({"min_new_tokens": -1}, "min_new_tokens is -1"),
        ({"num_beams": 0}, "num_beams is 0"),
        ({"num_return_sequences": -1}, "num_return_sequences is -1"),
        ({"no_repeat_ngram_size": -2}, "no_repeat_ngram_size is -2"),
        ({"top_k": -1}, "top_k is -1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0"),
        ({"max_new_tokens": 2, "min_new_tokens": 3}, "min_new_tokens is 3"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": 0.0, "do_sample": True, "num_return_sequences": 2}, "same text"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"bad_words": ((),)}, "bad_words"),
        ({"seed": -1}, "seed is -1"),
        ({"length_penalty": float("nan")}, "length_penalty is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty is inf"),
        ({"frequency_penalty": float("inf")}, "frequency_penalty is inf"),
        ({"presence_penalty": -float("inf")}, "presence_penalty is -inf"),
    ],
)
def test_options_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        DecodingOptions(**settings)


def test_a_beam_that_cannot_go_on_is_given_up_for_the_others(pair: PairOf) -> None:
    def allowed(number: int, ids: np.ndarray) -> list[int]:
        new = ids[2:].tolist()
        return {(): [5, 6], (5,): [], (6,): [7], (6, 7): [END]}.get(tuple(new), [])

    options = DecodingOptions(num_beams=2, eos=(END,), allowed_tokens=allowed)
    [[text]] = generate(pair("gpt2").session, [[3, 4]], options)
    assert (text.tokens, text.finish) == ([6, 7, END], "eos")
    assert text.score is not None and np.isfinite(text.score)


def test_beams_cannot_be_streamed(pair: PairOf) -> None:
    with pytest.raises(OptionError, match="cannot be streamed"):
        next(stream(pair("gpt2").session, [[1]], DecodingOptions(num_beams=2)))

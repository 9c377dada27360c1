"""When a beam search ends and what it returns, on models whose scores are known by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from nlplug import set_seed
from nlplug.errors import InputError
from nlplug.runtime.decoding.generate import Generated, generate
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.testing import tiny_text_generator

END = "<end>"
Chances = dict[str, dict[str, float]]


class Markov:
    """A model whose next word depends on the last one only, with the given probabilities."""

    def __init__(self, folder: Path, chances: Chances, context: int = 64) -> None:
        self.chances = chances
        logits = {
            word: {after: 40 + math.log(chance) for after, chance in follows.items()}
            for word, follows in chances.items()
        }
        bundle = tiny_text_generator(folder, logits)
        vocabulary = Tokenizer.from_file(str(bundle.tokenizer_file)).get_vocab()
        self.words = sorted(vocabulary, key=vocabulary.__getitem__)
        self.decoder = open_decoder(bundle.onnx_file("fp32"), context=context, threads=1)

    def search(
        self, *prompts: str, ends: Sequence[str] = (END,), **settings: Any
    ) -> list[list[Generated]]:
        eos = tuple(self.words.index(end) for end in ends)
        ids = [[self.words.index(word) for word in prompt.split()] for prompt in prompts]
        return generate(self.decoder, ids, DecodingOptions(eos=eos, **settings))

    def texts(self, found: list[Generated]) -> list[str]:
        return [" ".join(self.words[token] for token in one.tokens) for one in found]

    def score(self, text: str, penalty: float, prompt: str = "a") -> float:
        words = [prompt, *text.split()]
        total = sum(math.log(self.chances[one][after]) for one, after in pairwise(words))
        return total / (len(words) - 1) ** penalty


LATE: Chances = {"a": {END: 0.6, "b": 0.4}, "b": {END: 0.92, "c": 0.08}, "c": {"c": 1.0}}
"""The text ``b c c c …`` becomes the best one at length 8, and looks worse before."""


@pytest.mark.parametrize("penalty", [1.0, 2.0])
def test_never_goes_on_while_the_longest_text_may_be_better(tmp_path: Path, penalty: float) -> None:
    model = Markov(tmp_path, LATE)
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 8}
    given["length_penalty"] = penalty
    ends = sorted((END, f"b {END}"), key=lambda text: -model.score(text, penalty))
    for early in (False, True):
        [found] = model.search("a", early_stopping=early, **given)
        assert model.texts(found) == ends
    [found] = model.search("a", early_stopping="never", **given)
    late = "b" + " c" * 7
    assert model.texts(found) == [late, ends[0]]
    assert [one.finish for one in found] == ["length", "eos"]
    expected = [model.score(late, penalty), model.score(ends[0], penalty)]
    assert [one.score for one in found] == pytest.approx(expected, abs=1e-4)


def test_never_looks_at_the_length_so_far_where_short_texts_are_favoured(tmp_path: Path) -> None:
    model = Markov(
        tmp_path, {"a": {END: 0.3, "b": 0.7}, "b": {END: 0.34, "c": 0.66}, "c": {END: 1.0}}
    )
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 8, "length_penalty": -1.0}
    for early in ("never", False):
        [found] = model.search("a", early_stopping=early, **given)
        assert model.texts(found) == [END, f"b c {END}"]
        expected = [model.score(END, -1.0), model.score(f"b c {END}", -1.0)]
        assert [one.score for one in found] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("limit", "steps"), [(8, 2), (12, 12)])
def test_never_judges_a_beam_by_the_longest_text_that_it_may_become(
    tmp_path: Path, limit: int, steps: int
) -> None:
    model = Markov(
        tmp_path,
        {"a": {END: 0.5, "b": 0.5}, "b": {END: 0.999, "c": 0.001}, "c": {"c": 1.0}},
    )
    # After two steps ``<end>`` and ``b <end>`` have ended. ``b c c c ...`` scores -7.6 divided by
    # its length: below ``<end>`` (-0.69) with 8 tokens, above it with 12.
    lengths = []

    def allowed(number: int, ids: np.ndarray) -> range:
        lengths.append(len(ids))
        return range(len(model.words))

    given = {"num_beams": 2, "max_new_tokens": limit, "early_stopping": "never"}
    model.search("a", allowed_tokens=allowed, **given)
    assert max(lengths) == steps


BETTER: Chances = {
    "a": {END: 0.3, "b": 0.7},
    "b": {END: 0.4, "c": 0.6},
    "c": {END: 0.999, "d": 0.001},
    "d": {"d": 1.0},
}
"""``b c <end>`` is better than ``b <end>``, and ends one token later."""


def test_early_stopping_ends_with_as_many_texts_as_beams(tmp_path: Path) -> None:
    model = Markov(tmp_path, BETTER)
    given = {"num_beams": 2, "num_return_sequences": 2, "length_penalty": 1.0}
    [first] = model.search("a", early_stopping=True, max_new_tokens=6, **given)
    assert model.texts(first) == [f"b {END}", END]
    [best] = model.search("a", early_stopping=False, max_new_tokens=6, **given)
    assert model.texts(best) == [f"b c {END}", f"b {END}"]


@pytest.mark.parametrize("early", [True, False, "never"], ids=str)
@pytest.mark.parametrize(
    "settings", [{}, {"no_repeat_ngram_size": 2}, {"suppress_tokens": (3,)}], ids=str
)
def test_prompts_end_apart_and_keep_their_own_texts(
    tmp_path: Path, settings: dict[str, Any], early: Any
) -> None:
    random, words = np.random.default_rng(5), [END, *"abcdefgh"]
    model = Markov(
        tmp_path,
        {
            word: dict(zip(words, random.dirichlet([1.5] + [0.4] * 8) + 1e-4, strict=True))
            for word in words[1:]
        },
    )
    prompts = ["a", "b", "c", "d e f", "e", "f b", "g", "h"]
    given = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 9, **settings}
    given["length_penalty"] = 0.3
    together = model.search(*prompts, early_stopping=early, **given)
    for prompt, found in zip(prompts, together, strict=True):
        [alone] = model.search(prompt, early_stopping=early, **given)
        assert model.texts(alone) == model.texts(found)
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)
        assert [one.finish for one in alone] == [one.finish for one in found]
        assert [one.finish == "eos" for one in found] == [
            text.endswith(END) for text in model.texts(found)
        ]
    assert len({len(found[0].tokens) for found in together}) > 1


@pytest.mark.parametrize("early", [True, False, "never"], ids=str)
def test_a_prompt_takes_as_many_steps_beside_others_as_alone(tmp_path: Path, early: Any) -> None:
    random, words = np.random.default_rng(7), [END, *"abcdefgh"]
    model = Markov(
        tmp_path,
        {
            word: dict(zip(words, random.dirichlet([1.5] + [0.4] * 8) + 1e-4, strict=True))
            for word in words[1:]
        },
    )

    def steps(*prompts: str) -> list[int]:
        lengths = [0] * len(prompts)

        def allowed(number: int, ids: np.ndarray) -> range:
            lengths[number] = max(lengths[number], len(ids))
            return range(len(model.words))

        given = {"num_beams": 2, "max_new_tokens": 12, "length_penalty": 0.3}
        model.search(*prompts, early_stopping=early, allowed_tokens=allowed, **given)
        return lengths

    prompts = list("abcdefgh")
    together = steps(*prompts)
    assert together == [steps(prompt)[0] for prompt in prompts]
    assert len(set(together)) > 1


def test_a_prompt_whose_running_beams_are_lost_returns_its_ended_text(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {END: 0.6, "b": 0.4}, "b": {"b": 1.0}})
    end, word = model.words.index(END), model.words.index("b")

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        return [end, word] if len(ids) == 1 else []

    [found] = model.search("a", num_beams=2, max_new_tokens=5, allowed_tokens=allowed)
    assert model.texts(found) == [END]


def test_a_prompt_without_any_continuation_is_an_error(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {END: 0.6, "b": 0.4}, "b": {"b": 1.0}})
    for ids in (["a"], ["a", "b"]):
        with pytest.raises(InputError, match="all of them are banned"):
            model.search(*ids, num_beams=2, allowed_tokens=lambda number, ids: [])


def test_each_prompt_ends_where_its_own_context_is_full(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {"a": 0.9, "b": 0.1}, "b": {"b": 1.0}}, context=10)
    found = model.search("a", "a a a a", num_beams=2, max_new_tokens=50)
    # The last token needs no position.
    assert [len(texts[0].tokens) for texts in found] == [10, 7]
    [[text]] = model.search("a a a a", num_beams=2, max_new_tokens=3)
    assert len(text.tokens) == 3


@pytest.mark.parametrize("stopping", [False, True, "never"])
def test_beams_at_the_end_of_the_context_do_not_depend_on_the_other_prompts(
    tmp_path: Path, stopping: bool | str
) -> None:
    chances = {"a": {"a": 0.5, "b": 0.4, END: 0.1}, "b": {"b": 0.7, "a": 0.2, END: 0.1}}
    model = Markov(tmp_path, chances, context=10)
    prompts = ["a", "b a b a", "a b a b a b a", "b b", "a a a a a a a a a a"]
    given = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 8, "length_penalty": 2.0}
    together = model.search(*prompts, early_stopping=stopping, **given)
    for prompt, texts in zip(prompts, together, strict=True):
        assert model.search(prompt, early_stopping=stopping, **given) == [texts], prompt


def test_a_text_that_ends_below_the_best_beams_is_not_taken(tmp_path: Path) -> None:
    model = Markov(
        tmp_path,
        {"a": {"b": 0.5, "c": 0.4, END: 0.1}, "b": {END: 1.0}, "c": {END: 1.0}},
    )
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 4, "length_penalty": 0.0}
    [found] = model.search("a", early_stopping=True, **given)
    assert model.texts(found) == [f"b {END}", f"c {END}"]
    assert [one.score for one in found] == pytest.approx([math.log(0.5), math.log(0.4)], abs=1e-4)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_texts_end_at_the_maximum_length(tmp_path: Path, length: int) -> None:
    model = Markov(tmp_path, {"a": {"a": 0.9, "b": 0.1}, "b": {"b": 1.0}})
    [found] = model.search("a", num_beams=2, num_return_sequences=2, max_new_tokens=length)
    assert model.texts(found)[0] == " ".join(["a"] * length)
    assert [one.finish for one in found] == ["length", "length"]
    assert found[0].score == pytest.approx(math.log(0.9), abs=1e-4)


def test_beams_end_with_the_next_token_when_the_time_is_over(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {"a": 0.6, "b": 0.4}, "b": {"b": 1.0}})
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 9, "max_time": 1e-9}
    for found in model.search("a", "b", **given):
        assert [len(one.tokens) for one in found] == [1, 1]


def test_as_many_beams_go_on_as_there_are_whatever_ends(tmp_path: Path) -> None:
    follows = {END: 0.45, "stop": 0.4, "d": 0.15}
    model = Markov(tmp_path, {"a": {"b": 0.6, "c": 0.4}, "b": follows, "c": follows, "d": {END: 1}})
    # After two steps the four best texts have ended.
    given = {"num_beams": 2, "max_new_tokens": 6, "length_penalty": 2.0, "early_stopping": "never"}
    [[found]] = model.search("a", ends=(END, "stop"), **given)
    assert model.texts([found]) == [f"b d {END}"]
    assert found.score == pytest.approx(model.score(f"b d {END}", 2.0), abs=1e-4)


FIVE: Chances = {word: {"b": 0.4, "c": 0.3, "d": 0.2, END: 0.1} for word in "abcd"}


def test_banned_tokens_are_in_no_beam_and_the_next_best_takes_their_place(tmp_path: Path) -> None:
    model = Markov(tmp_path, FIVE)
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 1}
    for banned, expected in [((), ["b", "c"]), (("b",), ["c", "d"]), (("b", "c"), ["d", END])]:
        tokens = tuple(model.words.index(word) for word in banned)
        [found] = model.search("a", suppress_tokens=tokens, **given)
        assert model.texts(found) == expected


def test_as_many_tokens_are_ranked_as_beams_need_beside_the_banned_ones(tmp_path: Path) -> None:
    model = Markov(
        tmp_path,
        {word: {"b": 0.5, "c": 0.2, "d": 0.15, "e": 0.1, END: 0.05} for word in "abcde"},
    )
    banned = (model.words.index("b"),)
    given = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 1}
    for prompts in (["a"], ["a", "c d"]):
        for found in model.search(*prompts, suppress_tokens=banned, **given):
            assert model.texts(found) == ["c", "d", "e", END]
            assert found[-1].score == pytest.approx(math.log(0.05), abs=1e-4)


def test_a_minimum_length_holds_for_all_beams(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {END: 0.9, "a": 0.1}})
    given = {"num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 5, "length_penalty": 0.0}
    [found] = model.search("a", min_new_tokens=2, **given)
    assert model.texts(found) == [f"a a {END}", f"a a a {END}"]


def test_a_search_goes_on_with_a_single_continuation(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {"b": 0.6, "c": 0.4}, "b": {"b": 1.0}, "c": {"c": 1.0}})
    a, b, c = (model.words.index(word) for word in "abc")
    follows = {a: [b, c], b: [b]}  # nothing after ``c``

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        return follows.get(int(ids[-1]), [])

    [[found]] = model.search("a", num_beams=2, max_new_tokens=4, allowed_tokens=allowed)
    assert model.texts([found]) == ["b b b b"]


def test_the_ended_text_of_one_prompt_is_none_of_another(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {END: 0.6, "b": 0.4}, "b": {"b": 1.0}})
    end, word = model.words.index(END), model.words.index("b")

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        if number == 0:
            return [end, word] if len(ids) == 1 else [word]
        return [word] if len(ids) == 1 else []

    with pytest.raises(InputError, match="all of them are banned"):
        model.search("a", "b", num_beams=2, max_new_tokens=5, allowed_tokens=allowed)


def test_the_beams_of_each_prompt_continue_its_own_rows(tmp_path: Path) -> None:
    pairs = ["ps", "qt", "ru"]
    follows = [
        {one: {one: 0.6, two: 0.4}, two: {one: 0.7, two: 0.3}} for one, two in map(tuple, pairs)
    ]
    model = Markov(tmp_path, {word: row for pair in follows for word, row in pair.items()})
    seen: set[tuple[int, str]] = set()

    def allowed(number: int, ids: np.ndarray) -> range:
        seen.update((number, model.words[token]) for token in ids)
        return range(len(model.words))

    model.search("p", "q", "r", num_beams=2, max_new_tokens=5, allowed_tokens=allowed)
    assert seen == {(number, word) for number, pair in enumerate(pairs) for word in pair}


def test_long_texts_keep_all_their_tokens(tmp_path: Path) -> None:
    chances: Chances = {"a": {"b": 0.6, END: 0.4}, "b": {"c": 0.9, "a": 0.1}, "c": {"b": 1.0}}
    model = Markov(tmp_path, chances, context=256)
    given = {"num_beams": 2, "num_return_sequences": 2, "length_penalty": 0.0}
    for length in (64, 65, 150):
        [first, second] = model.search("a", "b", max_new_tokens=length, **given)
        assert model.texts(first)[0] == END
        assert model.texts(first)[1] == " ".join((["b", "c"] * length)[:length])
        assert model.texts(second)[0] == " ".join((["c", "b"] * length)[:length])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"b c": 0.3714, "b d": 0.2333, "c d": 0.1607, "b <end>": 0.1111}),
        ({"top_k": 3, "temperature": 0.5}, {"b c": 0.6301, "b d": 0.2580, "c d": 0.1117}),
        ({"top_k": 1}, {"b c": 1.0}),  # at least one besides the end token
    ],
)
def test_sampled_beams_are_drawn_without_replacement(
    tmp_path: Path, settings: dict[str, Any], expected: dict[str, float]
) -> None:
    count, temperature = 1000, settings.get("temperature", 1.0)
    model = Markov(tmp_path, FIVE)
    set_seed(1)
    given = {"num_beams": 2, "num_return_sequences": 2, "do_sample": True, "top_k": 0}
    found = model.search(*["a"] * count, max_new_tokens=1, **(given | settings))
    drawn = Counter(" ".join(model.texts(texts)) for texts in found)
    for pair, share in expected.items():
        deviation = math.sqrt(share * (1 - share) / count)
        assert drawn[pair] / count == pytest.approx(share, abs=4 * deviation), pair
    for one in found[0]:
        score = math.log(FIVE["a"][model.words[one.tokens[0]]]) / temperature
        assert one.score == pytest.approx(score, abs=1e-4)


def test_beams_that_differ_are_continued_by_their_own_noise(tmp_path: Path) -> None:
    """Of two steps, the first two texts are a sample without replacement of all texts."""
    chances: Chances = {"a": {"b": 0.7, "c": 0.3}, "b": {"b": 0.2, "c": 0.8}, "c": {"c": 1.0}}
    model = Markov(tmp_path, chances)
    set_seed(1)
    given = {"num_beams": 2, "num_return_sequences": 2, "do_sample": True, "max_new_tokens": 2}
    found = model.search(*["a"] * 1000, **given)
    for texts in found:
        assert [len(one.tokens) for one in texts] == [2, 2]
        for one, text in zip(texts, model.texts(texts), strict=True):
            assert one.score == pytest.approx(model.score(text, penalty=1.0), abs=1e-4)
    assert len({tuple(model.texts(texts)) for texts in found}) == 3


def test_sampled_beams_follow_bans_and_the_seed(tmp_path: Path) -> None:
    """Of 11 words only the banned one is never drawn, and half of the samples have ``b``."""
    words = "cdefghijkl"
    model = Markov(tmp_path, {"a": {"b": 0.5, **dict.fromkeys(words, 0.05)}})
    given = {"num_beams": 2, "num_return_sequences": 2, "do_sample": True, "top_k": 0}
    given |= {"max_new_tokens": 1, "suppress_tokens": (model.words.index("l"),)}
    set_seed(1)
    found = [model.texts(texts) for texts in model.search(*["a"] * 2000, **given)]
    assert {text for texts in found for text in texts} == {"b", *words[:-1]}
    # 0.5 / 0.95 in the first draw, else 0.5 / 0.9 in the second one
    share = 1 - (0.45 / 0.95) * (0.4 / 0.9)
    deviation = math.sqrt(share * (1 - share) / len(found))
    drawn = sum("b" in texts for texts in found) / len(found)
    assert drawn == pytest.approx(share, abs=4 * deviation)
    alone = {str(model.search("a", seed=seed, **given)) for seed in (1, 1, 1, 2, 3)}
    assert len(alone) == 3


def test_a_beam_without_a_token_is_left_out_of_the_sample(tmp_path: Path) -> None:
    model = Markov(tmp_path, {"a": {"b": 0.6, "c": 0.4}, "b": {"b": 1.0}, "c": {"c": 1.0}})
    a, b, c = (model.words.index(word) for word in "abc")
    follows = {a: [b, c], b: [b]}  # nothing after ``c``

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        return follows.get(int(ids[-1]), [])

    given = {"num_beams": 2, "max_new_tokens": 4, "do_sample": True, "seed": 3}
    [[found], [other]] = model.search("a", "b", allowed_tokens=allowed, **given)
    assert model.texts([found, other]) == ["b b b b"] * 2

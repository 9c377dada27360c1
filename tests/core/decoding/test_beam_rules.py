"""When a beam search ends and what it returns, on models whose scores are known by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nlplug.runtime.decoding.generate import Generated, generate
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.testing import tiny_text_generator

END = "<end>"
Chances = dict[str, dict[str, float]]


class Markov:
    """A model whose next word depends on the last one only, with the given probabilities."""

    def __init__(self, folder: Path, chances: Chances) -> None:
        self.chances = chances
        logits = {
            word: {after: 40 + math.log(chance) for after, chance in follows.items()}
            for word, follows in chances.items()
        }
        bundle = tiny_text_generator(folder, logits)
        self.words = [END, "<unk>"]
        self.words = sorted(self._ids(bundle), key=self._ids(bundle).__getitem__)
        self.decoder = open_decoder(bundle.onnx_file("fp32"), context=64, threads=1)

    @staticmethod
    def _ids(bundle: Any) -> dict[str, int]:
        from tokenizers import Tokenizer

        return dict(Tokenizer.from_file(str(bundle.tokenizer_file)).get_vocab())

    def search(self, *prompts: str, **settings: Any) -> list[list[Generated]]:
        end = self.words.index(END)
        ids = [[self.words.index(word) for word in prompt.split()] for prompt in prompts]
        return generate(self.decoder, ids, DecodingOptions(eos=(end,), **settings))

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


def test_prompts_end_apart_and_keep_their_own_texts(tmp_path: Path) -> None:
    chances = {**BETTER, "e": {"f": 1.0}, "f": {"g": 1.0}, "g": {"e": 0.9, END: 0.1}}
    model = Markov(tmp_path, chances)
    prompts = ["a", "e", "c", "b a", "f e"]
    given = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 11}
    together = model.search(*prompts, **given)
    for prompt, found in zip(prompts, together, strict=True):
        [alone] = model.search(prompt, **given)
        assert model.texts(alone) == model.texts(found)
        assert [one.score for one in alone] == pytest.approx([one.score for one in found], abs=1e-4)
        assert [one.finish for one in alone] == [one.finish for one in found]


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

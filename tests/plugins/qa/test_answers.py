"""Questions are answered from contexts of any length, and every answer stands where it says."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from characters_kit import within_character
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from nlplug import Pipeline
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.families.span_extraction import (
    SpanExtractionInput,
    SpanExtractionModel,
    SpanExtractionOptions,
)
from nlplug.models.bundle import Bundle
from nlplug.testing import SPECIAL_TOKENS, tiny_question_answerer, tiny_text_classifier
from nlplug_qa.task import QaTask

PARIS = "It is said that he lives in Paris."
YORK = "He lives in  New York, they say."
WINDOW = 24


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_question_answerer(tmp_path_factory.mktemp("tiny"), max_length=WINDOW)


@pytest.fixture(scope="module")
def ask(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(QaTask(), bundle, threads=1) as ask:
        yield ask


def texts(answers: Any) -> Any:
    return answers["answer"] if isinstance(answers, dict) else [texts(one) for one in answers]


# How it is called, and what comes back


def test_distinct_answers_do_not_overlap(ask: Pipeline) -> None:
    given = {"question": "Where?", "context": f"{PARIS} {YORK}", "top_k": 6}
    every, apart = ask(**given), ask(**given, distinct=True)
    assert apart[0] == every[0]
    places = sorted((one["start"], one["end"]) for one in apart)
    assert len(places) > 1
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    best = every[0]
    assert any(one["start"] < best["end"] and best["start"] < one["end"] for one in every[1:])


def test_an_answer_below_the_minimum_score_is_no_answer(ask: Pipeline) -> None:
    best = ask(question="Where?", context=PARIS)
    score = best["score"]
    assert ask(question="Where?", context=PARIS, min_score=score) == best
    withheld = ask(question="Where?", context=PARIS, min_score=math.nextafter(score, 1))
    assert withheld == {
        "answer": "",
        "score": pytest.approx(1 - score),
        "start": 0,
        "end": 0,
        "abstained": True,
    }
    several = ask(question="Where?", context=PARIS, min_score=1.0, top_k=3)
    assert [texts(one) for one in several[:2]] == ["", "Paris"]
    assert several[1]["score"] == pytest.approx(score)


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        ({"question": "Where?", "context": PARIS}, "Paris"),
        ({"question": "Where?", "context": [PARIS, YORK]}, ["Paris", "New York"]),
        ({"question": ["Where?", "What place?"], "context": PARIS}, ["Paris", "Paris"]),
        ({"question": ["Where?", "What?"], "context": [PARIS, YORK]}, ["Paris", "New York"]),
        ({"question": "Where?", "context": [PARIS]}, ["Paris"]),
    ],
)
def test_one_or_many_questions_are_asked_of_one_or_many_contexts(
    ask: Pipeline, arguments: dict[str, Any], answers: Any
) -> None:
    assert texts(ask(**arguments)) == answers


def test_questions_come_as_dicts_too(ask: Pipeline) -> None:
    asked = [{"question": "Where?", "context": text} for text in (PARIS, YORK)]
    assert texts(ask(asked[0])) == "Paris"
    assert texts(ask(asked)) == ["Paris", "New York"]
    assert texts(list(ask.map(iter(asked)))) == ["Paris", "New York"]
    assert texts(ask("Where?", context=PARIS)) == "Paris"


def test_one_answer_is_a_dict_and_several_are_a_list(ask: Pipeline) -> None:
    one = ask(question="Where?", context=PARIS)
    assert set(one) == {"answer", "score", "start", "end"}
    best = ask(question="Where?", context=PARIS, top_k=3)
    assert best[0] == one
    assert len(best) == 3
    assert ask(question="Where?", context="Paris", top_k=3) == [ask(question="W", context="Paris")]


def test_the_n_best_have_no_duplicates_and_fall_in_score(ask: Pipeline) -> None:
    found = ask(question="Where?", context=f"{PARIS} {YORK} {PARIS}", top_k=20)
    assert len({one["answer"].lower() for one in found}) == len(found) == 20
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)


def test_an_answer_is_no_longer_than_asked(ask: Pipeline) -> None:
    found = ask(question="Where?", context=YORK, top_k=50, max_answer_len=1)
    assert all(len(one["answer"].split()) == 1 for one in found)
    assert "New York" not in texts(found)


# No answer


def test_without_an_answer_the_best_guess_is_given_unless_none_is_allowed(
    tmp_path: Path,
) -> None:
    words = {"[CLS]": (2.0, 2.0), "paris": (1.0, 1.0)}
    with Pipeline(QaTask(), tiny_question_answerer(tmp_path, words), threads=1) as ask:
        assert ask(question="Where?", context="Paris")["answer"] == "Paris"
        none = ask(question="Where?", context="Paris", handle_impossible_answer=True)
        assert (none["answer"], none["start"], none["end"]) == ("", 0, 0)
        assert none["score"] == pytest.approx((2.718281828 / 3.718281828) ** 2)
        both = ask(question="Where?", context="Paris", handle_impossible_answer=True, top_k=2)
        assert texts(both) == ["", "Paris"]
        # The scores are of one distribution: start and end at [CLS], or at the one word.
        assert both[1]["score"] == pytest.approx((1 / 3.718281828) ** 2)


@pytest.mark.parametrize("context", ["Paris is a b c d e f", "a b c d Paris is e f"])
def test_no_answer_has_the_lowest_of_its_scores_over_the_windows(
    tmp_path: Path, context: str
) -> None:
    words = {"[CLS]": (2.0, 2.0), "paris": (1.0, 1.0)}
    # Four tokens of the context in each of two windows; all words but one have the logit 0.
    window = {"max_seq_len": 8, "doc_stride": 0}
    with Pipeline(QaTask(), tiny_question_answerer(tmp_path, words), threads=1) as ask:
        found = ask(
            question="Where", context=context, handle_impossible_answer=True, top_k=9, **window
        )
    [none] = [one["score"] for one in found if not one["answer"]]
    with_paris = math.exp(2) / (math.exp(2) + math.exp(1) + 3)
    assert none == pytest.approx(with_paris**2)


def test_a_context_of_which_nothing_can_be_read_has_no_answer(tmp_path: Path) -> None:
    bundle = tiny_question_answerer(tmp_path)
    inner = Tokenizer.from_file(str(bundle.tokenizer_file))
    inner.normalizer = normalizers.BertNormalizer()  # drops control characters
    inner.save(str(bundle.tokenizer_file))
    with Pipeline(QaTask(), bundle, threads=1) as ask:
        found = ask(question="Where?", context="\u0007")
    assert found == {"answer": "", "score": 0.0, "start": 0, "end": 0}


# Long contexts


@pytest.mark.parametrize("stride", [None, 0, 5, 15])
def test_an_answer_is_found_wherever_it_stands_in_a_long_context(
    ask: Pipeline, stride: int | None
) -> None:
    for place in range(0, 80, 7):
        words = ["word"] * 80
        words[place] = "Paris"
        context = " ".join(words)
        found = ask(question="Where?", context=context, doc_stride=stride)
        assert (found["answer"], found["start"]) == ("Paris", place * 5)


def test_a_million_characters_are_read(tmp_path: Path) -> None:
    context = "word after word, " * 30_000 + PARIS + " more of them" * 40_000
    assert len(context) > 1_000_000
    with Pipeline(QaTask(), tiny_question_answerer(tmp_path, max_length=384), threads=1) as ask:
        found = ask(question="Where?", context=context, window_scores="max")
    assert (found["answer"], found["start"]) == ("Paris", context.index("Paris"))
    assert found["score"] <= 1.0


def test_many_questions_on_one_context_read_it_once(bundle: Bundle) -> None:
    asked = [SpanExtractionInput(question=word, context=PARIS) for word in ("Where?", "What?")]
    [one], [other] = SpanExtractionModel(bundle).encode(asked, SpanExtractionOptions())
    assert np.shares_memory(one.meta.starts, other.meta.starts)


def test_windows_are_as_short_as_asked(ask: Pipeline) -> None:
    """[CLS], one token of the question, [SEP], two of the context, [SEP]: none holds all three."""
    options = {"max_seq_len": 6, "doc_stride": 1, "max_question_len": 1, "top_k": 50}
    found = ask(question="Where was it?", context="new old york", **options)
    assert "new old york" not in texts(found)
    assert {"new old", "old york"} <= set(texts(found))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_seq_len": 100}, "max_seq_len is 100, but the window of .* is 24"),
        ({"doc_stride": 21}, "doc_stride is 21, but a window of 24 tokens has room for 21"),
        ({"doc_stride": 19}, "doc_stride is 19, but a window has room for 19 tokens"),
        ({"max_seq_len": 3, "doc_stride": 1}, "doc_stride is 1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"max_answer_len": 0}, "max_answer_len is 0"),
        ({"doc_stride": -1}, "doc_stride is -1"),
        ({"topp": 2}, "no option 'topp'"),
    ],
)
def test_options_that_cannot_be_are_named(
    ask: Pipeline, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        ask(question="Where was it?"[:9], context=PARIS * 9, **options)


def test_a_question_that_fills_the_window_is_an_error_unless_it_may_be_cut(ask: Pipeline) -> None:
    long = "where " * 30
    with pytest.raises(InputError, match="30 tokens and leaves no room"):
        ask(question=long, context=PARIS)
    with pytest.raises(InputError, match="21 tokens and leaves no room"):
        ask(question=long, context=PARIS, max_question_len=21)
    assert ask(question=long, context=PARIS, max_question_len=8)["answer"] == "Paris"


def test_a_long_question_narrows_the_default_overlap(ask: Pipeline) -> None:
    assert ask(question="where " * 17, context="a " * 9 + PARIS)["answer"] == "Paris"


# Bad input


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("Where?", "lacks 'context'"),
        ({"question": "Where?"}, "lacks 'context'"),
        ({"context": PARIS}, "lacks 'question'"),
        ({"question": "", "context": PARIS}, "question is ''"),
        ({"question": " \n", "context": PARIS}, "question is"),
        ({"question": "Where?", "context": ""}, "context is ''"),
        ({"question": "Where?", "context": " \u3000\t"}, "context is"),
        ({"question": "Where?", "context": None}, "context is None"),
        ({"question": "Where?", "context": "a \ud800"}, "context holds the lone surrogate"),
        ({"question": "\udfff", "context": PARIS}, "question holds the lone surrogate"),
        ({"question": "Where?", "context": PARIS, "id": 1}, "no 'id'"),
    ],
)
def test_what_is_missing_or_wrong_in_an_input_is_named(
    ask: Pipeline, inputs: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ask(inputs)


@pytest.mark.parametrize("question", ["\u200b", "\u0301", "\x01", " \u200f\ufe0f\n"])
def test_a_question_of_which_nothing_can_be_read_is_an_error(tmp_path: Path, question: str) -> None:
    """Also where the tokenizer has a token for every byte."""
    with (
        Pipeline(QaTask(), byte_level(tmp_path), threads=1) as ask,
        pytest.raises(InputError, match=r"question is '.*no character that the model can read"),
    ):
        ask(question=question, context=PARIS)


def test_a_lone_surrogate_is_named_with_its_place(ask: Pipeline) -> None:
    with pytest.raises(InputError) as caught:
        ask(question="Where?", context="Paris \udc80")
    assert "at character 6, which is not valid Unicode" in caught.value.message


def test_lists_of_different_lengths_are_an_error(ask: Pipeline) -> None:
    with pytest.raises(InputError, match="question 2, context 1"):
        ask(question=["Where?", "When?"], context=[PARIS])


def test_a_model_of_another_task_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(BundleError, match="needs end_logits, start_logits"),
        Pipeline(QaTask(), tiny_text_classifier(tmp_path), threads=1) as ask,
    ):
        ask(question="Where?", context=PARIS)


# Places

PIECES = [
    *" \t\n\u00a0\u3000aA.,é\u0301\ufe0f👍🏽👩‍👧سش我喜欢ﬁİ\u200b",
    "a\u0301",
    "i\u0323\ufe0f",
    "👍🏽",
    "👩‍👧",
]
ODD = (
    st.lists(st.characters(codec="utf-8") | st.sampled_from(PIECES), min_size=1, max_size=60)
    .map("".join)
    .filter(lambda text: not text.isspace())
)


def random_weights(words: Sequence[str]) -> dict[str, tuple[float, float]]:
    draw = random.Random(5)
    return {word: (draw.uniform(-2, 2), draw.uniform(-2, 2)) for word in words}


def word_level(folder: Path) -> Bundle:
    """Lower-cases, so that a letter may become two, and splits at spaces and punctuation."""
    return tiny_question_answerer(folder, random_weights("aéişا我"), max_length=WINDOW)


def accents_dropped(folder: Path) -> Bundle:
    """Lower-cases, and leaves out marks and controls, as BERT does."""
    bundle = word_level(folder)
    inner = Tokenizer.from_file(str(bundle.tokenizer_file))
    inner.normalizer = normalizers.BertNormalizer()
    inner.save(str(bundle.tokenizer_file))
    return Bundle.open(bundle.path)


def byte_level(folder: Path) -> Bundle:
    """Spaces count to the word after them, and a character may be several tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bundle = tiny_question_answerer(folder, random_weights(letters), max_length=WINDOW)
    vocabulary = {word: i for i, word in enumerate((*SPECIAL_TOKENS, *letters))}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.post_processor = processors.RobertaProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]), trim_offsets=False
    )
    inner.save(str(bundle.tokenizer_file))
    return bundle


def unigram(folder: Path) -> Bundle:
    """Spaces count to the word after them, compatibility forms are taken apart."""
    letters = [*"▁aefi1.,我喜欢", "▁a", "aa"]
    bundle = tiny_question_answerer(folder, random_weights(letters), max_length=WINDOW)
    inner = Tokenizer(models.Unigram([(w, -1.0) for w in (*SPECIAL_TOKENS, *letters)], 1))
    inner.normalizer = normalizers.NFKD()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    inner.save(str(bundle.tokenizer_file))
    return bundle


def test_words_that_the_tokenizer_does_not_know_are_not_aligned_to(tmp_path: Path) -> None:
    """To a tokenizer that splits nothing the whole context is one word."""
    bundle = unigram(tmp_path)
    inner = Tokenizer.from_file(str(bundle.tokenizer_file))
    inner.pre_tokenizer = None
    inner.save(str(bundle.tokenizer_file))
    with Pipeline(QaTask(), Bundle.open(bundle.path), threads=1) as ask:
        found = ask(question="a?", context="a, e.i aa f1", top_k=5)
    assert len(found) == 5


def test_an_answer_ends_with_the_marks_of_its_last_letter(tmp_path: Path) -> None:
    """The tokenizer drops the marks, and the same word twice is one answer."""
    bundle = tiny_question_answerer(tmp_path)
    inner = Tokenizer.from_file(str(bundle.tokenizer_file))
    inner.normalizer = normalizers.BertNormalizer()
    inner.save(str(bundle.tokenizer_file))
    context = "It is Paris\u0301\ufe0f, not Paris\u0301\ufe0f!"
    with Pipeline(QaTask(), Bundle.open(bundle.path), threads=1) as ask:
        first, second = ask(question="Where?", context=context, top_k=2)
    assert (first["answer"], first["start"], first["end"]) == ("Paris\u0301\ufe0f", 6, 13)
    assert second["answer"] != first["answer"]


@pytest.fixture(scope="module", params=[word_level, accents_dropped, byte_level, unigram])
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Pipeline(QaTask(), request.param(tmp_path_factory.mktemp("odd")), threads=1) as ask:
        yield ask


@settings(deadline=None, max_examples=60)
@given(context=ODD, align=st.booleans(), top_k=st.sampled_from([2, 30]))
def test_every_answer_is_what_stands_at_its_place(
    odd: Pipeline, context: str, align: bool, top_k: int
) -> None:
    found = odd(question="a?", context=context, align_to_words=align, top_k=top_k)
    assert 1 <= len(found) <= top_k
    for one in found:
        assert context[one["start"] : one["end"]] == one["answer"] == one["answer"].strip()
        assert not within_character(context, one["start"])
        assert not within_character(context, one["end"])
    if len(found) > 1:
        assert all(one["answer"] for one in found)


@settings(deadline=None, max_examples=30)
@given(contexts=st.lists(ODD, min_size=2, max_size=4))
def test_answers_do_not_depend_on_what_else_is_asked(odd: Pipeline, contexts: list[str]) -> None:
    together = odd(question="a?", context=contexts, top_k=3)
    for answers, context in zip(together, contexts, strict=True):
        alone = odd(question="a?", context=context, top_k=3)
        assert texts(answers) == texts(alone)
        assert [one["start"] for one in answers] == [one["start"] for one in alone]

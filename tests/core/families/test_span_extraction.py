"""Limits of the arithmetic of answers: windows that just fit, ties, and texts of nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from nlplug.errors import InputError, OptionError
from nlplug.families.span_extraction.spans import NBest, ScoredSpan, best_spans, probabilities
from nlplug.families.span_extraction.windows import Context, WindowMaker, read_context
from nlplug.runtime.tokenizer import PairFrame

BARE = PairFrame((), (), (), ((), (0,), (), (0,), ()))
CLS, SEP = 101, 102
BERT = PairFrame((CLS,), (SEP,), (SEP,), ((0,), (0,), (0,), (1,), (1,)))


def context(tokens: int) -> Context:
    ids, starts = np.arange(1, tokens + 1, dtype=np.int32), np.arange(tokens, dtype=np.int32)
    return Context(ids, starts, starts + 1, starts, starts + 1)


def strides(tokens: int, size: int, question: int, stride: int | None) -> list[int]:
    """How many tokens each two neighbouring windows share."""
    maker = WindowMaker(BARE, None, question_first=True)
    rows = maker.rows([9] * question, context(tokens), size, stride)
    ends = [(row.meta.low, row.meta.high) for row in rows]
    return [one[1] - two[0] for one, two in pairwise(ends)]


@pytest.mark.parametrize(
    ("size", "question", "shared"),
    [
        (400, 10, 128),
        (256, 10, 128),
        (101, 0, 50),
        (100, 49, 50),
        (100, 50, 25),  # half of the size is all that is left of the window
        (100, 71, 14),
        (100, 98, 1),
    ],
)
def test_the_default_stride_is_half_a_window_and_never_too_much(
    size: int, question: int, shared: int
) -> None:
    found = strides(1000, size, question, None)
    assert set(found) == {shared}
    assert len(found) == -(-(1000 - (size - question)) // (size - question - shared))


def test_a_given_stride_may_leave_room_for_one_new_token() -> None:
    assert strides(12, 10, 5, 4) == [4] * 7
    with pytest.raises(OptionError) as raised:
        strides(12, 10, 5, 5)
    assert "doc_stride is 5, but a window has room for 5 tokens" in str(raised.value)
    assert raised.value.hint == "Set doc_stride to 0 up to 4, or set a higher max_seq_len."


def test_a_stride_does_not_matter_where_one_window_is_enough() -> None:
    assert strides(5, 10, 5, 9) == []


def test_a_question_must_leave_room_for_one_token() -> None:
    maker = WindowMaker(BERT, CLS, question_first=True)
    [first, second] = maker.rows([7, 8], context(2), 6, 0)
    assert [row.features["input_ids"].tolist() for row in (first, second)] == [
        [CLS, 7, 8, SEP, 1, SEP],
        [CLS, 7, 8, SEP, 2, SEP],
    ]
    with pytest.raises(InputError) as raised:
        maker.rows([7, 8, 9], context(2), 6, 0)
    message = "The question has 3 tokens and leaves no room for the context: a window is 6 tokens, "
    assert message + "3 of them special ones" in str(raised.value)
    assert "max_question_len" in (raised.value.hint or "")


@pytest.mark.parametrize("question_first", [True, False])
def test_all_arrays_of_a_row_are_int32(question_first: bool) -> None:
    [row] = WindowMaker(BERT, CLS, question_first=question_first).rows([7], context(2), 9, 0)
    features: dict[str, Any] = dict(row.features)
    assert {name: array.dtype for name, array in features.items()} == {
        "input_ids": np.int32,
        "token_type_ids": np.int32,
    }
    second = [0, 0, 0, 1, 1, 1] if question_first else [0, 0, 0, 0, 1, 1]
    assert features["token_type_ids"].tolist() == second


def test_the_type_of_the_context_alone_is_enough_for_type_ids() -> None:
    frame = PairFrame((), (), (), ((), (0,), (), (1,), ()))
    [row] = WindowMaker(frame, None, question_first=True).rows([7], context(2), 9, 0)
    assert list(row.features["token_type_ids"]) == [0, 1, 1]
    [row] = WindowMaker(BARE, None, question_first=True).rows([7], context(2), 9, 0)
    assert list(row.features) == ["input_ids"]


def test_a_context_of_no_tokens_is_one_window_of_nothing() -> None:
    maker = WindowMaker(BERT, SEP, question_first=True)
    [row] = maker.rows([7], context(0), 9, None)
    assert row.features["input_ids"].tolist() == [CLS, 7, SEP, SEP]
    assert (row.meta.place, row.meta.low, row.meta.high) == (3, 0, 0)
    # The token of "no answer" stands behind the context, where it is only there.
    assert row.meta.null == 3
    assert (
        WindowMaker(BERT, 55, question_first=True).rows([7], context(0), 9, 0)[0].meta.null is None
    )


@pytest.mark.parametrize("words", [True, False])
def test_the_tokens_of_a_context_keep_their_own_places(words: bool) -> None:
    vocabulary = {"[UNK]": 0, "un": 1, "##do": 2, "it": 3}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    read = read_context("undo it", inner.encode("undo it"), words=words)
    assert [read.low.tolist(), read.high.tolist()] == [[0, 2, 5], [2, 4, 7]]
    assert (read.ids.tolist(), read.ids.dtype) == ([1, 2, 3], np.int32)
    empty = read_context("", inner.encode(""), words=words)
    assert [len(array) for array in (empty.ids, empty.starts, empty.ends, empty.low)] == [0] * 4


def test_every_word_has_its_own_edges_and_a_special_token_is_no_word() -> None:
    vocabulary = {"[UNK]": 0, "un": 1, "##do": 2, "it": 3, "[S]": 4}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="$A [S]", special_tokens=[("[S]", 4)]
    )
    read = read_context("it undo", inner.encode("it undo"), words=True)
    assert read.starts.tolist() == [0, 3, 3, 0]
    assert read.ends.tolist() == [2, 7, 7, 0]


def test_probabilities_are_float64_and_of_nothing_none() -> None:
    found, nothing = probabilities(np.array([1.0, 2.0], np.float32), 0.5)
    assert found.dtype == np.float64
    assert found.sum() + nothing == pytest.approx(1.0, abs=1e-12)
    empty, nothing = probabilities(np.array([], np.float32), None)
    assert (len(empty), nothing) == (0, 0.0)


def test_spans_of_no_probability_never_pass_the_last_token() -> None:
    start = np.zeros(9)
    start[0] = 1.0
    spans = best_spans(start, np.full(9, 0.5), 100, 9)
    assert all(0 <= first <= last < 9 for first, last, _ in spans)
    assert [score for _, _, score in spans[:10]] == [0.5] * 9 + [0.0]


def found(text: str, *places: tuple[float, int, int], **given: Any) -> list[ScoredSpan]:
    answers = NBest(text, **given)
    for place in places:
        span = ScoredSpan(*place)
        answers.add([(slice(span.start, span.end), span)])
    return answers.best(9)


def test_scores_of_windows_add_up_unless_told_otherwise() -> None:
    places = ((0.5, 0, 3), (0.25, 0, 3))
    assert found("abc", *places) == [ScoredSpan(0.75, 0, 3)]
    assert found("abc", *places, add_scores=False) == [ScoredSpan(0.5, 0, 3)]


def test_of_equal_places_the_first_is_told_and_lower_case_tells_texts_apart() -> None:
    assert found("ab ab", (0.25, 3, 5), (0.25, 0, 2)) == [ScoredSpan(0.5, 3, 5)]
    # Their upper case is the same.
    assert len(found("straße strasse", (0.5, 0, 6), (0.25, 7, 14))) == 2

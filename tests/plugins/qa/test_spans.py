"""Which spans are the best, what they score, and which of them are the same answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug.families.span_extraction.spans import (
    NBest,
    ScoredSpan,
    best_spans,
    distinct_spans,
    probabilities,
)

CONTEXT = "It was Paris, not paris or  Rome."


def place(text: str, occurrence: int = 1, context: str = CONTEXT) -> tuple[int, int]:
    """Where a text stands; which of its occurrences is meant is counted from 1."""
    start = -1
    for _ in range(occurrence):
        start = context.index(text, start + 1)
    return start, start + len(text)


def nbest(*spans: tuple[float, str, int], context: str = CONTEXT, add_scores: bool = True) -> NBest:
    """Spans given by score, text and occurrence, each from a window of its own."""
    found = NBest(context, add_scores=add_scores)
    for score, text, occurrence in spans:
        start, end = place(text, occurrence, context)
        found.add([(slice(start, end), ScoredSpan(score, start, end))])
    return found


def told(found: NBest, count: int = 10, context: str = CONTEXT) -> list[tuple[str, float]]:
    return [(context[start:end], round(score, 6)) for score, start, end in found.best(count)]


def test_probabilities_are_a_softmax_over_the_context_and_cls() -> None:
    tokens, null = probabilities(np.log([1.0, 2.0, 4.0]), float(np.log(3.0)))
    assert tokens == pytest.approx([0.1, 0.2, 0.4])
    assert null == pytest.approx(0.3)


def test_without_cls_the_context_has_it_all() -> None:
    tokens, null = probabilities(np.log([1.0, 3.0]), None)
    assert tokens == pytest.approx([0.25, 0.75])
    assert null == 0.0


def test_huge_and_half_precision_logits_do_not_overflow() -> None:
    tokens, null = probabilities(np.array([6e4, -6e4], dtype=np.float16), -1e4)
    assert (tokens.tolist(), null) == ([1.0, 0.0], 0.0)


def test_a_window_without_context_leaves_all_to_cls() -> None:
    tokens, null = probabilities(np.array([]), 0.5)
    assert (len(tokens), null) == (0, 1.0)
    assert best_spans(tokens, tokens, 5, 15) == []


def test_spans_come_best_first_with_the_product_of_their_ends() -> None:
    spans = best_spans(np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6]), 3, 15)
    assert [(first, last) for first, last, _ in spans] == [(0, 2), (0, 1), (1, 2)]
    assert [score for *_, score in spans] == pytest.approx([0.42, 0.21, 0.12])


def test_no_span_ends_before_it_starts() -> None:
    assert [span[:2] for span in best_spans(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 9, 9)] == [
        (0, 0),
        (0, 1),
        (1, 1),
    ]


def test_no_span_is_longer_than_asked() -> None:
    spans = best_spans(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.1, 0.9]), 1, 2)
    assert [span[:2] for span in spans] == [(0, 1)]


@settings(deadline=None)
@given(
    tokens=st.integers(1, 24),
    count=st.integers(1, 40),
    longest=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_best_spans_are_those_of_a_search_through_all(
    tokens: int, count: int, longest: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    start, end = draw.random(tokens), draw.random(tokens)
    every = sorted(
        (
            (-start[first] * end[last], first, last)
            for first in range(tokens)
            for last in range(first, min(tokens, first + longest))
        ),
    )
    apart: list[tuple[float, int, int]] = []
    for score, first, last in every:
        if all(last < other or first > end_of for _, other, end_of in apart):
            apart.append((score, first, last))
    for find, expected in ((best_spans, every[:count]), (distinct_spans, apart[:count])):
        spans = find(start, end, count, longest)
        assert [span[:2] for span in spans] == [(first, last) for _, first, last in expected]
        assert [span[2] for span in spans] == pytest.approx([-score for score, *_ in expected])


def test_the_same_text_is_one_answer_whose_scores_add_scores() -> None:
    found = nbest((0.5, "Rome", 1), (0.2, "paris", 1), (0.4, "Paris", 1))
    assert told(found) == [("Paris", 0.6), ("Rome", 0.5)]


def test_of_several_windows_the_highest_score_can_count_instead() -> None:
    """Else a word that is in each of a thousand windows outdoes the answer."""
    spans = [(0.1, "not", 1)] * 30 + [(0.6, "Rome", 1), (0.7, "Rome", 1)]
    assert told(nbest(*spans)) == [("not", 3.0), ("Rome", 1.3)]
    assert told(nbest(*spans, add_scores=False)) == [("Rome", 0.7), ("not", 0.1)]


def test_within_a_window_scores_of_the_same_text_always_add_scores() -> None:
    found = NBest(CONTEXT, add_scores=False)
    found.add((slice(7, 12), ScoredSpan(score, 7, 12)) for score in (0.3, 0.2))
    assert told(found) == [("Paris", 0.5)]


def test_an_answer_stands_where_it_scores_best_and_not_where_it_comes_first() -> None:
    """transformers tells the first place, however little speaks for it."""
    found = nbest((0.1, "a", 1), (0.7, "a", 2), (0.2, "a", 3), context="a b a b a")
    [(score, start, end)] = found.best(1)
    assert (start, end) == (4, 5)
    assert score == pytest.approx(1.0)


def test_spaces_around_an_answer_are_not_part_of_it() -> None:
    """Some tokenizers count the space before a word to the word."""
    [(_, start, end)] = nbest((0.5, "  Rome", 1)).best(1)
    assert CONTEXT[start:end] == "Rome"


def test_nothing_but_spaces_is_no_answer() -> None:
    assert told(nbest((0.9, "  ", 1), (0.1, "Rome", 1))) == [("Rome", 0.1)]


def test_answers_that_differ_in_spaces_alone_are_listed_once_with_the_higher_score() -> None:
    found = nbest((0.3, "Rome", 1), (0.4, " Rome", 1), (0.2, "not", 1))
    assert told(found) == [("Rome", 0.4), ("not", 0.2)]


def test_a_word_cut_by_a_window_is_answered_whole_and_keeps_its_score() -> None:
    found = NBest(CONTEXT)
    found.add([(slice(7, 10), ScoredSpan(0.3, 7, 12))])
    found.add([(slice(7, 12), ScoredSpan(0.2, 7, 12))])
    assert told(found) == [("Paris", 0.3)]


def test_at_most_as_many_as_asked_for() -> None:
    assert told(nbest((0.1, "It", 1), (0.3, "Rome", 1), (0.2, "not", 1)), 2) == [
        ("Rome", 0.3),
        ("not", 0.2),
    ]


def test_distinct_answers_leave_out_what_overlaps_a_better_one() -> None:
    context = "New York City, Rome"
    spans = [(0.9, "York", 1), (0.8, "New York", 1), (0.7, "York City", 1), (0.6, "New ", 1)]
    spans += [(0.5, " City", 1), (0.4, "Rome", 1)]
    found = nbest(*spans, context=context)
    every = ["York", "New York", "York City", "New", "City", "Rome"]
    assert [text for text, _ in told(found, context=context)] == every
    apart = found.best(10, distinct=True)
    assert [context[one.start : one.end] for one in apart] == ["York", "New", "City", "Rome"]
    touching = nbest((0.9, "York", 1), (0.8, " City,", 1), (0.7, "New ", 1), context=context)
    assert len(touching.best(10, distinct=True)) == 3
    adjacent = nbest((0.9, "Yo", 1), (0.8, "rk", 1), (0.7, "w", 1), (0.6, "e", 1), context=context)
    assert len(adjacent.best(10, distinct=True)) == 4

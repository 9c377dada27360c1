"""From logits to answers: probabilities, the best spans of a window, n-best over all windows.

The scores equal those of transformers 4.57's question-answering pipeline with fast tokenizers:

- In each window, softmax over the tokens of the context and [CLS]; the score of a span is the
  product of the probabilities of its start and end. The best ``2 top_k + 10`` spans of each window
  are considered (``top_k`` if answers are not extended to words).
- Spans with the same text, ignoring case, are one answer, and their scores are added
  (huggingface/transformers#38761), also over windows. So a score may exceed 1, and a frequent word
  of a very long context may get a higher score than the answer. ``window_scores="max"`` takes the
  highest score over the windows instead.
- The score of "no answer" is the lowest product at [CLS] over all windows.

This module corrects these faults of the pipeline:

- The pipeline returns the *first* position of an answer's text, which in a long context is often
  unrelated to the question. Here it is the position with the highest score.
- A space that a tokenizer includes in a word (byte-level BPE without ``trim_offsets``,
  SentencePiece) is not part of an answer, and a span of only spaces is not an answer.
- An answer ends with a whole character. transformers omits an accent that the tokenizer dropped,
  or returns it as an answer of its own.
- A word that is cut by the border of a window is returned whole. For a tokenizer that does not
  split words, the whole context is one word; then answers are not extended.
- Answers that become the same text by these corrections are listed once, with the higher score.
- With the context first (``padding_side`` "left"), the question and the special tokens cannot be
  answers either, and "no answer" is read at [CLS] in any position.
- Spans outside the context, which have the score 0, are never among the n best.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class ScoredSpan(NamedTuple):
    """A span of the context with its score."""

    score: float
    start: int
    end: int


def probabilities(logits: np.ndarray, null: float | None) -> tuple[np.ndarray, float]:
    """Softmax over the context's tokens and [CLS].

    Args:
        logits: Logits of the context's tokens, shape (tokens,); may be empty.
        null: The logit of [CLS]; None if the model has no such token.

    Returns:
        The probabilities of the tokens, shape (tokens,), and of [CLS] (0 without one).
    """
    values = np.asarray(logits, dtype=np.float64)
    if null is None:
        null = -np.inf
    top = max(float(values.max(initial=-np.inf)), null)
    if top == -np.inf:
        return values, 0.0
    powers = np.exp(values - top)
    nothing = float(np.exp(null - top))
    total = powers.sum() + nothing
    return powers / total, nothing / total


def best_spans(
    start: np.ndarray, end: np.ndarray, count: int, max_answer_len: int
) -> list[tuple[int, int, float]]:
    """The best spans of one window.

    The memory is proportional to tokens times ``max_answer_len``.

    Args:
        start: Probability that the answer starts at a token, shape (tokens,).
        end: Probability that it ends there, shape (tokens,).
        count: Maximum number of spans.
        max_answer_len: Maximum number of tokens in a span.

    Returns:
        First and last token of each with its score, best first.
    """
    tokens = len(start)
    if not tokens:
        return []
    width = min(max_answer_len, tokens)
    # After the last token the probability is -1, so that such spans are sorted last.
    ends = np.full(tokens + width - 1, -1.0)
    ends[:tokens] = end
    scores = (start[:, None] * sliding_window_view(ends, width)).ravel()
    count = min(count, tokens * width - width * (width - 1) // 2)
    if count == 1:
        order = scores.argmax(keepdims=True)
    else:
        order = np.argpartition(scores, -count)[-count:]
        order = order[np.argsort(-scores[order], kind="stable")]
    first, length = np.divmod(order, width)
    last = first + length
    return [
        span
        for span in zip(first.tolist(), last.tolist(), scores[order].tolist(), strict=True)
        if span[1] < tokens
    ]


def distinct_spans(
    start: np.ndarray, end: np.ndarray, count: int, max_answer_len: int
) -> list[tuple[int, int, float]]:
    """As `best_spans`, without spans that overlap a better one."""
    width = min(max_answer_len, len(start))
    scores = np.zeros((len(start), width))
    for length in range(width):
        scores[: len(start) - length, length] = start[: len(start) - length] * end[length:]
    found: list[tuple[int, int, float]] = []
    while scores.size and len(found) < count:
        first, length = divmod(int(scores.argmax()), width)
        score, last = float(scores[first, length]), first + length
        if score <= 0:
            break
        found.append((first, last, score))
        scores[first : last + 1] = 0
        for before in range(max(0, first - width + 1), first):
            scores[before, first - before :] = 0
    return found


class NBest:
    """Collects the spans of all windows and merges those with the same text.

    Args:
        context: The text of the spans.
        add_scores: Whether to add the scores of an answer over the windows, instead of taking the
            highest.
    """

    def __init__(self, context: str, *, add_scores: bool = True) -> None:
        self._context = context
        self._add_scores = add_scores
        self._totals: dict[str, float] = {}
        self._best: dict[str, ScoredSpan] = {}

    def add(self, spans: Iterable[tuple[slice, ScoredSpan]]) -> None:
        """Add the spans of one window.

        Args:
            spans: Each with the part of its characters that is in the window: all of them, unless
                the window cuts a word.
        """
        totals: dict[str, float] = {}
        for seen, span in spans:
            key = self._context[seen].lower()
            totals[key] = totals.get(key, 0.0) + span.score
            if key not in self._best or span.score > self._best[key].score:
                self._best[key] = span
        for key, total in totals.items():
            before = self._totals.get(key, 0.0)
            self._totals[key] = before + total if self._add_scores else max(before, total)

    def best(self, count: int, *, distinct: bool = False) -> list[ScoredSpan]:
        """At most ``count`` answers with different texts, best first, without outer spaces.

        Args:
            count: Maximum number of answers.
            distinct: Whether to leave out answers that overlap a better one.
        """
        found: dict[str, ScoredSpan] = {}
        for key in sorted(self._totals, key=self._totals.__getitem__, reverse=True):
            _, start, end = self._best[key]
            text = self._context[start:end]
            start += len(text) - len(text.lstrip())
            text = text.strip()
            taken = distinct and any(
                start < other.end and other.start < start + len(text) for other in found.values()
            )
            if text and text.lower() not in found and not taken:
                found[text.lower()] = ScoredSpan(self._totals[key], start, start + len(text))
                if len(found) == count:
                    break
        return list(found.values())

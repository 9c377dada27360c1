"""From logits to answers: probabilities, the best spans of a window, n-best over all windows.

The numbers are those of the question-answering pipeline of transformers 4.57 on fast tokenizers:

- Of a window, softmax over the tokens of the context and [CLS]; a span's score is the product of
  the probabilities of its two ends. Of each window the best ``2 top_k + 10`` spans are looked at
  (``top_k`` where answers are not widened to words).
- Spans with the same text, upper and lower case taken for the same, are one answer and their scores
  add up (huggingface/transformers#38761). They do so over windows too, so that a score may exceed 1
  and a frequent word of a very long context outdoes the answer; ``window_scores="max"`` takes the
  window that scores an answer highest.
- The score of "no answer" is the product at [CLS] in the window where it is lowest.

Where that pipeline is wrong this module is not:

- It tells the *first* place where an answer's text was found, which in a long context is mostly a
  place that has little to do with the question. Here it is the place with the highest score.
- A space that a tokenizer counts to its word (byte-level BPE without ``trim_offsets``,
  SentencePiece) is not part of an answer, and a span of nothing but spaces is none.
- An answer ends with a whole character, where transformers leaves out an accent that the tokenizer
  dropped, or takes it for an answer of its own.
- A word that the border of a window cuts is answered whole. To a tokenizer that does not split
  words the whole context is one; then answers are not widened.
- Answers that come to the same text by these two are listed once, with the higher score.
- With the context first (``padding_side`` "left"), the question and special tokens cannot be
  answers either, and "no answer" is read at [CLS] wherever that stands.
- What scores 0 because it lies outside the context never fills up the n best.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class ScoredSpan(NamedTuple):
    """A place in the context with its score."""

    score: float
    start: int
    end: int


def probabilities(logits: np.ndarray, null: float | None) -> tuple[np.ndarray, float]:
    """Softmax over the context's tokens and [CLS].

    Args:
        logits: Of the context's tokens, shape (tokens,); may be empty.
        null: The logit of [CLS]; None where the model has no such token.

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

    Takes memory for tokens times ``max_answer_len`` scores, not for the square of the tokens.

    Args:
        start: Probability that the answer starts at a token, shape (tokens,).
        end: Probability that it ends there, shape (tokens,).
        count: Most spans to return.
        max_answer_len: Most tokens in a span.

    Returns:
        First and last token of each with its score, best first.
    """
    tokens = len(start)
    if not tokens:
        return []
    width = min(max_answer_len, tokens)
    # Beyond the last token the probability is -1, so that such spans come after all others.
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


class NBest:
    """Collects the spans of all windows and merges those that say the same.

    Args:
        context: The text that the spans are places in.
        add_up: Whether the scores that windows give one answer add up; else the highest counts.
    """

    def __init__(self, context: str, *, add_up: bool = True) -> None:
        self._context = context
        self._add_up = add_up
        self._totals: dict[str, float] = {}
        self._best: dict[str, ScoredSpan] = {}

    def add(self, spans: Iterable[tuple[slice, ScoredSpan]]) -> None:
        """Take the spans of one window.

        Args:
            spans: Each with the characters of it that the window holds: all but where a word is
                cut.
        """
        totals: dict[str, float] = {}
        for seen, span in spans:
            key = self._context[seen].lower()
            totals[key] = totals.get(key, 0.0) + span.score
            if key not in self._best or span.score > self._best[key].score:
                self._best[key] = span
        for key, total in totals.items():
            before = self._totals.get(key, 0.0)
            self._totals[key] = before + total if self._add_up else max(before, total)

    def best(self, count: int) -> list[ScoredSpan]:
        """At most ``count`` answers, no two with the same text, best first; spaces cut off."""
        found: dict[str, ScoredSpan] = {}
        for key in sorted(self._totals, key=self._totals.__getitem__, reverse=True):
            _, start, end = self._best[key]
            text = self._context[start:end]
            start += len(text) - len(text.lstrip())
            text = text.strip()
            if text and text.lower() not in found:
                found[text.lower()] = ScoredSpan(self._totals[key], start, start + len(text))
                if len(found) == count:
                    break
        return list(found.values())

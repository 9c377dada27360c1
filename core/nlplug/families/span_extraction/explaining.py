"""Which answer to a question is explained, and its value from the logits of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import expm1, log

import numpy as np

from nlplug.errors import OptionError
from nlplug.explanations.contract import Target
from nlplug.explanations.result import ExplainedTarget
from nlplug.families.span_extraction.options import Answer
from nlplug.families.span_extraction.windows import Window

Probabilities = Callable[[np.ndarray, Window], tuple[np.ndarray, float]]
_SMALLEST = 1e-12
"""Bounds probabilities, so that log odds are finite."""


def chosen_span(
    context: str, answers: Sequence[Answer], wanted: str | None
) -> tuple[int, int] | None:
    """Start and end of what is explained; None for "no answer".

    Args:
        context: The text.
        answers: The answers, best first.
        wanted: A part of the text to explain instead of the best answer.

    Raises:
        OptionError: The text has no such part.
    """
    if wanted is None:
        best = answers[0]
        return (best["start"], best["end"]) if best["answer"] else None
    for one in answers:
        if one["answer"] == wanted:
            return one["start"], one["end"]
    start = context.find(wanted)
    if start < 0:
        raise OptionError(
            f"explain_span is {wanted!r}, which is not in the context.",
            hint="Give a part of the context, exactly as it is written there.",
        )
    return start, start + len(wanted)


def span_target(
    context: str,
    span: tuple[int, int],
    windows: Sequence[Window],
    outputs: Sequence[Mapping[str, np.ndarray]],
    probabilities: Probabilities,
) -> Target | None:
    """The span in the window that gives it the highest score; None if no window has it whole.

    Its value is the log odds of its score in this window: the probability that the answer starts at
    a token of its first word, times the probability that it ends at a token of its last word.

    Args:
        context: The text.
        span: Start and end.
        windows: The windows of the rows.
        outputs: The outputs of the rows.
        probabilities: Gives the probabilities of the tokens of a window from its logits.
    """
    start, end = span
    found: list[tuple[float, int, Callable[[Mapping[str, np.ndarray]], float]]] = []
    for number, (window, output) in enumerate(zip(windows, outputs, strict=True)):
        firsts = np.flatnonzero((window.starts <= start) & (start < window.ends))
        lasts = np.flatnonzero((window.starts < end) & (end <= window.ends))
        if len(firsts) and len(lasts):
            value = _reader(window, firsts, lasts, probabilities)
            found.append((value(output), number, value))
    if not found:
        return None
    _, number, best = max(found, key=lambda one: one[0])
    return Target(
        ExplainedTarget(text=context[start:end], start=start, end=end),
        [number],
        lambda outputs: best(outputs[0]),
    )


def _reader(
    window: Window, firsts: np.ndarray, lasts: np.ndarray, probabilities: Probabilities
) -> Callable[[Mapping[str, np.ndarray]], float]:
    def value(output: Mapping[str, np.ndarray]) -> float:
        begins, _ = probabilities(output["start_logits"], window)
        finishes, _ = probabilities(output["end_logits"], window)
        score = float(begins[firsts].sum()) * float(finishes[lasts].sum())
        logarithm = log(min(max(score, _SMALLEST), 1 - _SMALLEST))
        return logarithm - log(-expm1(logarithm))

    return value

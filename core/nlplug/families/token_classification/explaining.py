"""Which entity of an answer is explained, and its value from the logits of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlplug.errors import OptionError
from nlplug.explanations.contract import Target, label_ids, log_odds
from nlplug.explanations.result import ExplainedTarget
from nlplug.families.token_classification.options import TokenClassificationOptions, label_of
from nlplug.families.token_classification.tagged_text import Tokens, merge, trim


def chosen_entity(
    text: str, answer: Sequence[Mapping[str, Any]], options: TokenClassificationOptions
) -> tuple[int, int, str] | None:
    """Start, end and label of what is explained; None for an answer without entities.

    Without options this is the entity with the highest score.

    Raises:
        OptionError: The text has no such part, or the part has no label and none is given.
    """
    wanted, label = options.explain_span, options.explain_label
    known = [one for one in answer if wanted is None or text[one["start"] : one["end"]] == wanted]
    if known:
        best = max(known, key=lambda one: one["score"])
        return best["start"], best["end"], label or label_of(best)
    if wanted is None:
        return None
    start = text.find(wanted)
    if start < 0:
        raise OptionError(
            f"explain_span is {wanted!r}, which is not in the text.",
            hint="Give a part of the text, exactly as it is written there.",
        )
    if label is None:
        found = list(dict.fromkeys(text[one["start"] : one["end"]] for one in answer))
        raise OptionError(
            f"explain_span is {wanted!r}, which is not an entity of the answer.",
            hint="Also give the label to explain as explain_label"
            + (f", or one of the entities: {', '.join(found[:10])}." if found else "."),
        )
    return start, start + len(wanted), label


def entity_target(
    text: str,
    entity: tuple[int, int, str],
    labels: Sequence[str],
    tokens: Tokens,
    windows: Sequence[int],
    *,
    before: int,
    stride: int,
) -> Target | None:
    """The label of some tokens; None if the part of the text has no tokens.

    The value is the mean log odds of the label over the tokens, each read from the window in which
    it is farthest from an edge, as for the answer.

    Args:
        text: The text.
        entity: Start, end and label.
        labels: The labels of the model by id.
        tokens: The tokens of the text.
        windows: For each window the number of its tokens, without special tokens.
        before: Number of special tokens before these.
        stride: Number of tokens that neighboring windows share.
    """
    start, end, label = entity
    ids = label_ids(label, labels)
    starts, ends = trim(text, tokens.offsets)
    inside = np.flatnonzero((starts < end) & (ends > start) & (starts < ends))
    if not len(inside):
        return None
    located = merge(
        [
            np.stack((np.full(size, number), before + np.arange(size)), axis=1)
            for number, size in enumerate(windows)
        ],
        stride,
    )[inside]
    needed = np.unique(located[:, 0]).tolist()

    def value(outputs: Sequence[Mapping[str, np.ndarray]]) -> float:
        logits = [
            outputs[needed.index(window)]["logits"][place] for window, place in located.tolist()
        ]
        return log_odds(np.stack(logits), ids)

    return Target(
        ExplainedTarget(label=label, text=text[start:end], start=start, end=end), needed, value
    )

"""Other texts for one segment of an answer that keep its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlplug.families.seq2seq.model import Segment, Seq2SeqModel
from nlplug.runtime.decoding.options import Allowed, DecodingOptions
from nlplug.runtime.decoding.scoring import token_logits
from nlplug.runtime.decoding.text import Prompt, TextDecoder

_MOST_TRIED = 64
"""Most tokens that are looked at to find those that begin a word."""


def other_endings(
    decoder: TextDecoder,
    model: Seq2SeqModel,
    segment: Segment,
    options: Any,
    *,
    before: str,
    count: int,
) -> list[str]:
    """Texts of a segment that begin with ``before`` and go on with different words.

    The most likely tokens that begin a word after ``before`` are found, and each is continued.
    Texts that do not pass the checks of the segment are left out.

    Args:
        decoder: The decoder of the model.
        model: Its handling of texts.
        segment: What is written.
        options: Of the answer.
        before: The beginning of the text, up to a word; empty for other first words.
        count: Maximum number of texts.

    Returns:
        The texts, by the probability of the token after ``before``.
    """
    start = before.rstrip()
    prefix = list(model.target.ids(start)) if start else []
    if model.target.decode(prefix) != start:
        return []  # the vocabulary does not have this text
    decoding = model.decoding(options)
    if decoding.forced_bos is not None:
        prefix.insert(0, decoding.forced_bos)
    tokens = _next_tokens(decoder, model, segment, decoding, prefix, count)
    changes = {"num_beams": 1, "num_return_sequences": 1, "do_sample": False}
    single = options.model_copy(update=changes)
    allowed = _forced(
        [[*prefix, token] for token in tokens],
        begin=len(decoder.begin()),
        vocabulary=decoder.decoder.spec.vocabulary,
        after=decoding.allowed_tokens,
    )
    made = decoder.texts(
        [Prompt(segment.ids, number=number) for number in range(len(tokens))],
        model.decoding(single, allowed_tokens=allowed),
    )
    found: dict[str, str] = {}
    for (text,) in made:
        version = segment.at_once(model.written(text, segment, options))
        if version is not None and version.startswith(start):
            word = next(iter(version[len(start) :].split()), "")
            if word not in start.split()[-1:]:  # a model may write a word twice
                found.setdefault(word, version)
    return list(found.values())


def _next_tokens(
    decoder: TextDecoder,
    model: Seq2SeqModel,
    segment: Segment,
    decoding: DecodingOptions,
    prefix: Sequence[int],
    count: int,
) -> list[int]:
    """The most likely tokens that begin a word after a prefix."""
    (logits,) = token_logits(decoder.decoder, [segment.ids], [[*prefix, 0]])
    banned = {*decoding.suppress_tokens, model.target.unk_token_id, model.target.pad_token_id}
    known = model.target.decode(list(prefix))

    def begins_word(token: int) -> bool:
        text = model.target.decode([*prefix, token])
        more = text.removeprefix(known)
        return text.startswith(known) and bool(more.strip()) and (not known or more[0].isspace())

    best = np.argsort(-logits[-1], kind="stable")[:_MOST_TRIED].tolist()
    return [token for token in best if token not in banned and begins_word(token)][:count]


def _forced(
    texts: Sequence[Sequence[int]], *, begin: int, vocabulary: int, after: Allowed | None
) -> Allowed:
    """Allows only the tokens of a text, and after these all tokens, or what ``after`` allows."""
    every: Any = np.arange(vocabulary)

    def allowed(number: int, ids: np.ndarray) -> Sequence[int]:
        place = len(ids) - begin
        if place < len(texts[number]):
            return [texts[number][place]]
        return every if after is None else after(0, ids)

    return allowed

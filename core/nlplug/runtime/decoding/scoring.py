"""What a decoder makes of texts that are given: the logits of each of their tokens.

A decoder decodes by the logits after its last token alone. Here a text is not decoded but read,
by the same graphs. Those of causal models can tell the logits of any positions, so that a text
costs one pass, as a prompt does; others go through it step by step, many texts side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import Decoder, check_prompts
from nlplug.runtime.decoding.numeric import log_sum_exp
from nlplug.runtime.decoding.session import DecoderSession
from nlplug.runtime.device import onnxruntime

Tokens = Sequence[int]

_NUMBERS = 2**23
"""Logits that are held at a time; at least those of one text."""
_ROWS = 32


def token_logits(
    decoder: Decoder, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """The logits from which each token of some texts is predicted.

    Args:
        decoder: The model.
        prompts: What comes before each text; of a text-to-text model the source.
        texts: The tokens that are predicted, one or more each; of a text-to-text model those
            after the token that starts the decoder.

    Yields:
        For each text float32 of shape (tokens, vocabulary).

    Raises:
        InputError: A prompt or text is empty, too long, or of another vocabulary.
    """
    rows = zip(prompts, texts, strict=True)
    most = max(1, _NUMBERS // decoder.spec.vocabulary)
    while batch := list(islice(rows, 1)):
        for row in rows:
            batch.append(row)
            if len(batch) == _ROWS or sum(len(text) for _, text in batch) >= most:
                break
        first, second = [prompt for prompt, _ in batch], [text for _, text in batch]
        if isinstance(decoder, DecoderSession):
            yield from _one_pass(decoder, first, second)
        else:
            yield from _step_by_step(decoder, first, second)


def nats(logits: np.ndarray, tokens: Tokens) -> np.ndarray:
    """The cross entropy of each token, float64 of shape (tokens,).

    Args:
        logits: Shape (tokens, vocabulary), as `token_logits` gives them.
        tokens: The tokens that came.
    """
    values = logits.astype(np.float64)
    own = values[np.arange(len(values)), np.asarray(tokens)]
    losses: np.ndarray = log_sum_exp(values)[:, 0] - own
    return losses


def windows(first: int, total: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Cut a text into windows that overlap by half, each token predicted in one of them alone.

    Args:
        first: Place of the first token that is to be predicted, from 1 up.
        total: Tokens of the text.
        length: Tokens that the model reads at a time.

    Yields:
        The first token of a window, and the first and the last one that it predicts; it reads
        from the first token to the one before the last.

    Raises:
        OptionError: ``length`` is below 1.
    """
    if length < 1:
        raise OptionError(f"A window has {length} tokens.", hint="Give 1 or more.")
    begin = 0
    while True:
        end = min(begin + length, total - 1)
        if first <= end:
            yield begin, first, end
            first = end + 1
        if end == total - 1:
            return
        begin += max(1, length // 2)


def _one_pass(
    decoder: DecoderSession, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """All positions of a fast causal graph at once; rows are padded on the right."""
    rows = [[*prompt, *text[:-1]] for prompt, text in zip(prompts, texts, strict=True)]
    check_prompts(decoder.spec, rows)
    lengths = np.array([len(row) for row in rows], np.int32)
    longest = int(lengths.max())
    ids = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    counts = [len(text) for text in texts]
    firsts = [number * longest + len(prompt) - 1 for number, prompt in enumerate(prompts)]
    feeds = {
        "input_ids": ids,
        "position_ids": np.tile(np.arange(longest), (len(rows), 1)),
        "top": np.array([1]),
        "seqlens_k": lengths - 1,
        "total_sequence_length": np.array(longest, np.int32),
        "logits_at": np.concatenate(
            [first + np.arange(count) for first, count in zip(firsts, counts, strict=True)]
        ),
    }
    binding = decoder.session.io_binding()
    make = onnxruntime().OrtValue.ortvalue_from_numpy
    for item in decoder.session.get_inputs():
        if item.name in feeds:
            binding.bind_ortvalue_input(item.name, make(feeds[item.name]))
    cache = Cache(decoder.spec, len(rows), longest)
    cache.bind(binding)
    binding.bind_output("logits", "cpu")
    decoder.session.run_with_iobinding(binding)
    logits = binding.get_outputs()[-1].numpy()
    yield from np.split(logits, np.cumsum(counts)[:-1])


def _step_by_step(
    decoder: Decoder, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """As in decoding, but each next token is the one that comes in the text."""
    given = [np.empty((len(text), decoder.spec.vocabulary), np.float32) for text in texts]
    decoding = decoder.start(prompts, room=max(len(text) for text in texts))
    rows = list(range(len(texts)))
    place = 0
    while True:
        for number, row in enumerate(rows):
            given[row][place] = decoding.logits[number]
        place += 1
        going = [number for number, row in enumerate(rows) if place < len(texts[row])]
        if not going:
            break
        if len(going) < len(rows):
            rows = [rows[number] for number in decoding.keep(going)]
        decoding.step(np.array([texts[row][place - 1] for row in rows], np.int64))
    yield from given

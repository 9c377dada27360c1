"""The logits that a decoder predicts the tokens of given texts from.

Fast causal graphs compute the logits of any positions, so a text costs one run, like a prompt.
Other graphs read the text token by token, many texts at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.decoding.cache import Cache
from nlplug.runtime.decoding.decoder import Decoder, check_logits, check_prompts
from nlplug.runtime.decoding.fast import FastDecoder, prompt_inputs
from nlplug.runtime.decoding.ranking import log_sum_exp
from nlplug.runtime.device import onnxruntime

Tokens = Sequence[int]

_NUMBERS = 2**23
"""Maximum number of logits in memory at a time, if one text has not more."""
_ROWS = 32


def token_logits(
    decoder: Decoder, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """The logits that each token of some texts is predicted from.

    Args:
        decoder: The model.
        prompts: The tokens before each text; for a text-to-text model the source.
        texts: The predicted tokens, one or more per text; for a text-to-text model those after
            the start token.

    Yields:
        For each text float32 of shape (tokens, vocabulary).

    Raises:
        InputError: A prompt or text is empty, too long, or of another vocabulary.
        BundleError: The graph gives logits that are NaN or infinite.
    """
    rows = zip(prompts, texts, strict=True)
    most = max(1, _NUMBERS // decoder.spec.vocabulary)
    while batch := list(islice(rows, 1)):
        for row in rows:
            batch.append(row)
            if len(batch) == _ROWS or sum(len(text) for _, text in batch) >= most:
                break
        first, second = [prompt for prompt, _ in batch], [text for _, text in batch]
        if isinstance(decoder, FastDecoder):
            made = _one_pass(decoder, first, second)
        else:
            made = _step_by_step(decoder, first, second)
        for logits in made:
            check_logits(decoder, np.isfinite(logits.max(axis=1)))
            yield logits


def nats(logits: np.ndarray, tokens: Tokens) -> np.ndarray:
    """The cross entropy of each token, float64 of shape (tokens,).

    Args:
        logits: Shape (tokens, vocabulary), as `token_logits` gives them.
        tokens: The tokens that follow.
    """
    values = logits.astype(np.float64)
    own = values[np.arange(len(values)), np.asarray(tokens)]
    losses: np.ndarray = log_sum_exp(values)[:, 0] - own
    return losses


def windows(first: int, total: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Cut a text into windows that overlap by half; each token is predicted in one of them.

    Args:
        first: Index of the first token to predict, from 1 up.
        total: Number of tokens of the text.
        length: Number of tokens that the model reads at a time.

    Yields:
        The indices of the first token of a window and of the first and last token that it
        predicts; it reads from its first token to the one before the last that it predicts.

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
    decoder: FastDecoder, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """All positions of a fast causal graph in one run; rows are padded on the right."""
    rows = [[*prompt, *text[:-1]] for prompt, text in zip(prompts, texts, strict=True)]
    check_prompts(decoder.spec, rows)
    lengths = np.array([len(row) for row in rows], np.int32)
    longest = int(lengths.max())
    counts = [len(text) for text in texts]
    firsts = [number * longest + len(prompt) - 1 for number, prompt in enumerate(prompts)]
    positions = [first + np.arange(count) for first, count in zip(firsts, counts, strict=True)]
    inputs = prompt_inputs(decoder.spec, rows, lengths, np.concatenate(positions))
    inputs["top"] = np.array([1])
    binding = decoder.session.io_binding()
    make = onnxruntime().OrtValue.ortvalue_from_numpy
    for name, values in inputs.items():
        binding.bind_ortvalue_input(name, make(values))
    cache = Cache(decoder.spec, len(rows), longest)
    cache.bind(binding)
    binding.bind_output("logits", "cpu")
    decoder.session.run_with_iobinding(binding)
    logits = binding.get_outputs()[-1].numpy()
    yield from np.split(logits, np.cumsum(counts)[:-1])


def _step_by_step(
    decoder: Decoder, prompts: Sequence[Tokens], texts: Sequence[Tokens]
) -> Iterator[np.ndarray]:
    """As in decoding, but each next token is that of the text."""
    logits = [np.empty((len(text), decoder.spec.vocabulary), np.float32) for text in texts]
    decoding = decoder.start(prompts, room=max(len(text) for text in texts))
    rows = list(range(len(texts)))
    place = 0
    while True:
        for number, row in enumerate(rows):
            logits[row][place] = decoding.logits[number]
        place += 1
        going = [number for number, row in enumerate(rows) if place < len(texts[row])]
        if not going:
            break
        if len(going) < len(rows):
            rows = [rows[number] for number in decoding.keep(going)]
        decoding.step(np.array([texts[row][place - 1] for row in rows], np.int64))
    yield from logits

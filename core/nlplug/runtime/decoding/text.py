"""From prompts to texts: batches of prompts of similar length, whole texts or text as it comes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nlplug.errors import OptionError
from nlplug.runtime.answers import TextPiece
from nlplug.runtime.decoding.decoder import Decoder, EncoderDecoderSpec
from nlplug.runtime.decoding.generate import Generated, Token, generate, stream
from nlplug.runtime.decoding.history import Finish
from nlplug.runtime.decoding.options import DecodingOptions

# Number of rows to decode together. A step reads the weights once for all rows. More rows than this
# gain little, and a row that ends late keeps the memory of the others.
ROWS = 16
# Prompts of one batch may be longer than its shortest by half of that and this many tokens.
_SLACK = 16


_UNFINISHED = "\ufffd"
# Enough tokens for the tokenizer to see that the first new token does not start a text.
CONTEXT = 8


@dataclass(frozen=True)
class Prompt:
    """The input of one generation.

    Attributes:
        ids: Its token ids.
        context: Tokens that precede the new text and are not part of it; empty for a text that
            does not continue another, such as a translation.
        number: The number that ``allowed_tokens`` of the options receives.
    """

    ids: Sequence[int]
    context: Sequence[int] = ()
    number: int = 0


@dataclass
class Text:
    """One text.

    Attributes:
        text: The new text.
        tokens: Its tokens, including the one that ended it.
        finish: Why it ended.
        score: See `Generated.score`.
        logprobs: The log-probability of each token, if ``logprobs`` is set.
    """

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    finish: Finish = "length"
    score: float | None = None
    logprobs: list[float] | None = None


class TextDecoder:
    """Generates texts with a decoder; may be used from several threads.

    Args:
        decoder: The model.
        decode: From token ids to text without special tokens.
        rows: Maximum number of rows to decode together; of one prompt there may be more.

    Attributes:
        decoder: The model.
    """

    def __init__(
        self, decoder: Decoder, decode: Callable[[list[int]], str], *, rows: int = ROWS
    ) -> None:
        self.decoder = decoder
        self._decode = decode
        self._rows = rows

    def begin(self, ids: Sequence[int] = (0,)) -> list[int]:
        """The tokens before the first new one: those of a prompt, or, in an encoder-decoder model,
        the start token."""
        return list(self.decoder.decoder_prompts([ids])[0])

    def starting_with(self, tokens: Sequence[int] | None) -> TextDecoder:
        """The same encoder-decoder model, whose texts begin with the first of other tokens.

        Args:
            tokens: None or empty: its own.

        Raises:
            OptionError: The model does not have the token.
        """
        spec = self.decoder.spec
        if not tokens or not isinstance(spec, EncoderDecoderSpec):
            return self
        token = tokens[0]
        if not 0 <= token < spec.vocabulary:
            raise OptionError(
                f"The start token is {token}; the model's tokens are 0 to {spec.vocabulary - 1}.",
                hint="Correct decoder_start_token_id.",
            )
        decoder: Any = copy.copy(self.decoder)  # with the same sessions
        decoder.spec = replace(spec, start=token)
        return TextDecoder(decoder, self._decode, rows=self._rows)

    def texts(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions,
        *,
        stop: Sequence[str] = (),
        stop_kept: Sequence[str] = (),
    ) -> list[list[Text]]:
        """For each prompt its ``num_return_sequences`` texts.

        Args:
            prompts: Prompts; those of similar length are decoded together.
            options: How to decode; the texts of a prompt are independent of other prompts.
            stop: Texts that end a generated text and are not part of it.
            stop_kept: Texts that end a generated text and stay in it.

        Raises:
            InputError: A prompt is empty, too long, or of another vocabulary.
            OptionError: Stop strings with beams.
        """
        answers: list[list[Text]] = [[] for _ in prompts]
        width = max(options.num_beams, options.num_return_sequences)
        rows = max(1, self._rows // width)
        for batch in batches([len(prompt.ids) for prompt in prompts], rows):
            together = [prompts[index] for index in batch]
            if stop or stop_kept:
                made = self._until(together, options, stop, stop_kept)
            else:
                made = self._whole(together, options)
            for index, texts in zip(batch, made, strict=True):
                answers[index] = texts
        return answers

    def pieces(
        self,
        prompt: Prompt,
        options: DecodingOptions,
        *,
        stop: Sequence[str] = (),
        stop_kept: Sequence[str] = (),
    ) -> Generator[TextPiece, None, None]:
        """The text of one prompt in pieces; the last piece says why it ended.

        Closing the generator ends the decoding.

        Args:
            prompt: The prompt.
            options: With ``num_beams`` and ``num_return_sequences`` 1.
            stop: Texts that end the generated text and are not part of it.
            stop_kept: Texts that end the generated text and stay in it.

        Raises:
            InputError: The prompt is empty, too long, or of another vocabulary.
            OptionError: ``num_beams`` is above 1.
        """
        count = 0
        ids: list[int] = []
        logprobs: list[float] = []
        with closing(self._stream([prompt], options, stop, stop_kept)) as made:
            for token, text in made:
                count += 1
                ids.append(token.token)
                if token.logprob is not None:
                    logprobs.append(token.logprob)
                if text or token.finish:
                    yield TextPiece(text, token.finish, count, tuple(ids), tuple(logprobs))
                    ids, logprobs = [], []

    def _whole(self, prompts: Sequence[Prompt], options: DecodingOptions) -> list[list[Text]]:
        options = _numbered(options, prompts)
        made = generate(self.decoder, [prompt.ids for prompt in prompts], options)
        return [
            [self._text(prompt, one) for one in texts]
            for prompt, texts in zip(prompts, made, strict=True)
        ]

    def _text(self, prompt: Prompt, made: Generated) -> Text:
        context = list(prompt.context[-CONTEXT:])
        text = self._decode([*context, *made.tokens])[len(self._decode(context)) :]
        return Text(text, made.tokens, made.finish, made.score, made.logprobs)

    def _until(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions,
        stop: Sequence[str],
        stop_kept: Sequence[str],
    ) -> list[list[Text]]:
        copies = options.num_return_sequences
        logprobs = options.logprobs
        texts = [[Text(logprobs=[] if logprobs else None) for _ in range(copies)] for _ in prompts]
        for token, text in self._stream(prompts, options, stop, stop_kept):
            answer = texts[token.prompt][token.sequence]
            answer.text += text
            answer.tokens.append(token.token)
            answer.finish = token.finish or answer.finish
            if answer.logprobs is not None and token.logprob is not None:
                answer.logprobs.append(token.logprob)
        return texts

    def _stream(
        self,
        prompts: Sequence[Prompt],
        options: DecodingOptions,
        stop: Sequence[str],
        stop_kept: Sequence[str],
    ) -> Generator[tuple[Token, str], None, None]:
        """Tokens as they are generated, each with the text that is final with it."""
        copies = options.num_return_sequences
        texts = [
            TextStream(
                self._decode, context=prompt.context, stop_strings=stop, kept_stops=stop_kept
            )
            for prompt in prompts
            for _ in range(copies)
        ]
        pushed: dict[int, str] = {}

        def stopped(number: int, token: int) -> bool:
            pushed[number] = texts[number].push(token)
            return texts[number].stopped is not None

        if stop or stop_kept:
            options = options.model_copy(update={"stop_when": stopped})
        options = _numbered(options, prompts)
        ids = [prompt.ids for prompt in prompts]
        with closing(stream(self.decoder, ids, options)) as tokens:
            for token in tokens:
                number = token.prompt * copies + token.sequence
                # The stop condition is not called with an end token of the model.
                known = pushed.pop(number, None)
                text = texts[number].push(token.token) if known is None else known
                yield token, text + (texts[number].finish() if token.finish else "")


def _numbered(options: DecodingOptions, prompts: Sequence[Prompt]) -> DecodingOptions:
    """Options whose constraint receives `Prompt.number` instead of the position in the batch."""
    allowed = options.allowed_tokens
    if allowed is None:
        return options

    def numbered(place: int, ids: np.ndarray) -> Sequence[int]:
        return allowed(prompts[place].number, ids)

    return options.model_copy(update={"allowed_tokens": numbered})


def batches(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Batches of at most ``rows`` prompts of similar length, as indices; the longest come last."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        shortest = lengths[batch[0]] if batch else 0
        if batch and (len(batch) == rows or lengths[index] > shortest * 3 // 2 + _SLACK):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


class TextStream:
    """The text of one row, token by token.

    A token may be a part of a character, and its text may depend on the tokens around it. So the
    last tokens are decoded together each time, and text that ends within a character or may be the
    beginning of a stop string is held back.

    Args:
        decode: From token ids to text, as ``tokenizers.Tokenizer.decode``.
        context: Tokens before the first new one; their text is not returned.
        stop_strings: Texts that end the row; neither they nor later text is returned.
        kept_stops: Texts that end the row; they and the rest of their last token are returned.

    Attributes:
        stopped: The stop string that was found, or None.
    """

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        *,
        context: Sequence[int] = (),
        stop_strings: Sequence[str] = (),
        kept_stops: Sequence[str] = (),
    ) -> None:
        self._decode = decode
        self._ids = list(context)[-CONTEXT:]
        self._start = 0
        self._given = len(self._ids)
        self._kept = {stop for stop in kept_stops if stop}
        self._stops = (*(stop for stop in stop_strings if stop), *self._kept)
        self._held = ""
        self.stopped: str | None = None

    def push(self, token: int) -> str:
        """Add a token; returns the text that is final now, which is often empty."""
        if self.stopped is not None:
            return ""
        self._ids.append(token)
        return self._release(self._decoded(final=False), final=False)

    def finish(self) -> str:
        """The text that was held back, after the last token."""
        if self.stopped is not None:
            return ""
        return self._release(self._decoded(final=True), final=True)

    def _decoded(self, *, final: bool) -> str:
        before = self._decode(self._ids[self._start : self._given])
        after = self._decode(self._ids[self._start :])
        if len(after) <= len(before) or (after.endswith(_UNFINISHED) and not final):
            return ""
        self._start, self._given = self._given, len(self._ids)
        return after[len(before) :]

    def _release(self, text: str, *, final: bool) -> str:
        text = self._held + text
        found = [(place, stop) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            place, self.stopped = min(found)
            self._held = ""
            return text if self.stopped in self._kept else text[:place]
        keep = 0 if final else max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Number of characters at the end of a text that may be the beginning of a stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)

"""Prompts in, texts out: batches of like length, whole answers or piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from nlplug.runtime.answers import TextPiece
from nlplug.runtime.decoding.decoder import Decoder
from nlplug.runtime.decoding.generate import Generated, Token, generate, stream
from nlplug.runtime.decoding.options import DecodingOptions
from nlplug.runtime.decoding.stopping import Finish
from nlplug.runtime.decoding.text import CONTEXT, TextStream

# Rows that are decoded together. A step reads the weights once for all rows; from here on more
# rows gain little, and a row that ends late keeps the others' memory.
_ROWS = 16
# Prompts of one batch differ by less than half of the shortest, and by this many tokens.
_SLACK = 16


@dataclass(frozen=True)
class Prompt:
    """What a text is made from.

    Attributes:
        ids: Its tokens, for the model.
        context: Tokens that the new text follows upon, whose own text is not given out; empty
            where it stands alone, as a translation does.
        number: By which the options' ``allowed_tokens`` knows it.
    """

    ids: Sequence[int]
    context: Sequence[int] = ()
    number: int = 0


@dataclass
class Text:
    """One text.

    Attributes:
        text: The new text.
        tokens: Its tokens, the one that ended it included.
        finish: Why it ended.
        score: Of a beam, as `Generated.score`.
        logprobs: Of each token, if they were asked for.
    """

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    finish: Finish = "length"
    score: float | None = None
    logprobs: list[float] | None = None


class TextDecoder:
    """Makes texts with a decoder; may be used from several threads.

    Args:
        decoder: The model.
        decode: From token ids to text, special tokens left out.
    """

    def __init__(self, decoder: Decoder, decode: Callable[[list[int]], str]) -> None:
        self._decoder = decoder
        self._decode = decode

    def texts(
        self, prompts: Sequence[Prompt], options: DecodingOptions, *, stop: Sequence[str] = ()
    ) -> list[list[Text]]:
        """For each prompt its ``num_return_sequences`` texts.

        Args:
            prompts: Of any lengths from 1 up; those of like length are decoded together.
            options: How; what a prompt draws does not hang on the others.
            stop: Texts that end an answer and are not part of it.

        Raises:
            InputError: A prompt is empty, too long, or not of this model.
            OptionError: Stop strings with beams.
        """
        answers: list[list[Text]] = [[] for _ in prompts]
        width = max(options.num_beams, options.num_return_sequences)
        for batch in batches([len(prompt.ids) for prompt in prompts], max(1, _ROWS // width)):
            together = [prompts[index] for index in batch]
            make = self._until if stop else self._whole
            for index, texts in zip(batch, make(together, options, stop), strict=True):
                answers[index] = texts
        return answers

    def pieces(
        self, prompt: Prompt, options: DecodingOptions, *, stop: Sequence[str] = ()
    ) -> Generator[TextPiece, None, None]:
        """The text of one prompt as it comes; the last piece says why it ended.

        Closing the generator ends the decoding.

        Args:
            prompt: The prompt.
            options: Without beams, and for one text.
            stop: Texts that end the answer and are not part of it.

        Raises:
            InputError: The prompt is empty, too long, or not of this model.
            OptionError: Beams were asked for, of which nothing is certain before the end.
        """
        count = 0
        ids: list[int] = []
        logprobs: list[float] = []
        with closing(self._stream([prompt], options, stop)) as made:
            for token, text in made:
                count += 1
                ids.append(token.token)
                if token.logprob is not None:
                    logprobs.append(token.logprob)
                if text or token.finish:
                    yield TextPiece(text, token.finish, count, tuple(ids), tuple(logprobs))
                    ids, logprobs = [], []

    def _whole(
        self, prompts: Sequence[Prompt], options: DecodingOptions, _: Sequence[str]
    ) -> list[list[Text]]:
        options = _numbered(options, prompts)
        made = generate(self._decoder, [prompt.ids for prompt in prompts], options)
        return [
            [self._text(prompt, one) for one in texts]
            for prompt, texts in zip(prompts, made, strict=True)
        ]

    def _text(self, prompt: Prompt, made: Generated) -> Text:
        context = list(prompt.context[-CONTEXT:])
        text = self._decode([*context, *made.tokens])[len(self._decode(context)) :]
        return Text(text, made.tokens, made.finish, made.score, made.logprobs)

    def _until(
        self, prompts: Sequence[Prompt], options: DecodingOptions, stop: Sequence[str]
    ) -> list[list[Text]]:
        copies = options.num_return_sequences
        logprobs = options.logprobs
        texts = [[Text(logprobs=[] if logprobs else None) for _ in range(copies)] for _ in prompts]
        for token, text in self._stream(prompts, options, stop):
            answer = texts[token.prompt][token.sequence]
            answer.text += text
            answer.tokens.append(token.token)
            answer.finish = token.finish or answer.finish
            if answer.logprobs is not None and token.logprob is not None:
                answer.logprobs.append(token.logprob)
        return texts

    def _stream(
        self, prompts: Sequence[Prompt], options: DecodingOptions, stop: Sequence[str]
    ) -> Generator[tuple[Token, str], None, None]:
        """Tokens as they come, each with the text that is certain with it."""
        copies = options.num_return_sequences
        texts = [
            TextStream(self._decode, context=prompt.context, stop_strings=stop)
            for prompt in prompts
            for _ in range(copies)
        ]
        fresh: dict[int, str] = {}

        def met(number: int, token: int) -> bool:
            fresh[number] = texts[number].push(token)
            return texts[number].stopped is not None

        if stop:
            options = replace(options, stop_when=met)
        options = _numbered(options, prompts)
        for token in stream(self._decoder, [prompt.ids for prompt in prompts], options):
            number = token.prompt * copies + token.sequence
            # The token that the model itself ends with is not shown to the stop condition.
            pushed = number in fresh
            text = fresh.pop(number) if pushed else texts[number].push(token.token)
            yield token, text + (texts[number].finish() if token.finish else "")


def _numbered(options: DecodingOptions, prompts: Sequence[Prompt]) -> DecodingOptions:
    """Options whose constraint gets the numbers of the prompts and not their places in a batch."""
    allowed = options.allowed_tokens
    if allowed is None:
        return options
    return replace(options, allowed_tokens=lambda place, ids: allowed(prompts[place].number, ids))


def batches(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Indices of prompts to decode together: at most ``rows``, of like length, long ones last."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        shortest = lengths[batch[0]] if batch else 0
        if batch and (len(batch) == rows or lengths[index] > shortest * 3 // 2 + _SLACK):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch

"""Scores of language models: perplexity and bits a byte of texts that they read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.errors import OptionError
from nlplug.evaluation.base import Evaluation, Sample
from nlplug.families.decoding_options import GenerationConfig
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.scoring import nats, token_logits, windows
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.models.bundle import Bundle
    from nlplug.pipelines import Pipeline

Logits = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], Iterable[np.ndarray]]
"""Prompts and texts as tokens to the logits of the texts' tokens, such as `token_logits`."""

_PAIR = ("prompt", "completion")


@dataclass(frozen=True)
class Likelihood:
    """How well a model predicts a text.

    Attributes:
        nats: The cross entropy of its tokens and of its end.
        tokens: How many tokens these are.
        bytes: Of the text in UTF-8.
    """

    nats: float
    tokens: int
    bytes: int


class Reader:
    """Reads texts with a language model, in windows that overlap by half.

    The end of a text is predicted as well, and its first token from whatever stands before texts.

    Args:
        logits: The model.
        encode: From a text to its tokens, without special ones.
        before: What stands before a text: the token that begins it, else the one that ends others.
        end: The token that ends a text; none for a model without one.
        context: Tokens that the model reads at a time.
    """

    def __init__(
        self,
        logits: Logits,
        encode: Callable[[str], Sequence[int]],
        *,
        before: Sequence[int],
        end: Sequence[int],
        context: int,
    ) -> None:
        self._logits = logits
        self._encode = encode
        self._before = before
        self._end = end
        self._context = context

    def likelihood(self, text: str, prompt: str = "") -> Likelihood:
        """That of a text after a prompt that is given."""
        head = [*self._before, *(self._encode(prompt) if prompt else ())]
        ids = [*head, *self._encode(text), *self._end]
        first = max(1, len(head))  # a token that nothing stands before cannot be predicted
        parts = list(windows(first, len(ids), self._context))
        prompts = [ids[begin:start] for begin, start, _ in parts]
        texts = [ids[start : end + 1] for _, start, end in parts]
        found = zip(self._logits(prompts, texts), texts, strict=True)
        total = sum(float(nats(logits, own).sum()) for logits, own in found)
        return Likelihood(total, len(ids) - first, len(text.encode()))


def reader_of(bundle: Bundle, logits: Logits) -> Reader:
    """A reader with the tokenizer, the special tokens and the window of a bundle.

    Args:
        bundle: Of a causal language model.
        logits: The model, whatever runs it.

    Raises:
        BundleError: The tokenizer cannot be used.
    """
    tokenizer = load_tokenizer(bundle, offsets=False)
    end = GenerationConfig.of(bundle).tokens("eos_token_id")[:1]
    before, _ = tokenizer.text_frame
    return Reader(logits, tokenizer.ids, before=before or end, end=end, context=bundle.max_length)


class TextGenerationEvaluation(Evaluation):
    """Bits a byte, and perplexity a token: the model reads the texts, it writes none.

    Rows have a text, or ``prompt`` and ``completion``, of which the completion is predicted.
    """

    metric: ClassVar[str] = "bits_per_byte"
    higher_is_better: ClassVar[bool] = False
    target_columns: ClassVar[Sequence[str]] = ("text", "completion")

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """Rows with ``text``, or with ``prompt`` and ``completion``.

        Args:
            path: The file.
            **columns: ``text`` says what that column is called in the file.
        """
        from nlplug.data.readers import read_rows

        for name in columns:
            if name != "text":
                raise OptionError(f"There is no column {name!r} to name.", hint="Name text.")
        for row in read_rows(path):
            both = all(name in row.values for name in _PAIR) and not columns
            prompt, text = _PAIR if both else (None, columns.get("text", "text"))
            inputs = {"prompt": row.text(prompt) if prompt else "", "text": row.text(text)}
            yield Sample(inputs, None, row.where)

    def answers(
        self, pipe: Pipeline, inputs: Iterable[dict[str, Any]], options: Mapping[str, Any]
    ) -> Iterator[Likelihood]:
        """What the pipeline's model makes of the texts."""
        bundle = pipe.bundle
        decoder = open_decoder(
            bundle.onnx_file(pipe.precision),
            context=bundle.max_length,
            threads=load_settings().threads,
        )
        reader = reader_of(bundle, partial(token_logits, decoder))
        for given in inputs:
            yield reader.likelihood(given["text"], given["prompt"])

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """Bits of each text by the mean number of bytes, so that their mean is bits a byte."""
        bits = np.array([answer.nats for answer in answers], np.float64) / math.log(2)
        sizes = np.array([answer.bytes for answer in answers], np.float64)
        found: np.ndarray = bits / (sizes.mean() if len(sizes) else 1.0)
        return found

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """``bits_per_byte``, ``perplexity`` a token, ``token_loss`` in nats, and the sizes."""
        total = sum(answer.nats for answer in answers)
        tokens = sum(answer.tokens for answer in answers)
        size = sum(answer.bytes for answer in answers)
        return {
            "rows": len(answers),
            "bits_per_byte": total / math.log(2) / max(1, size),
            "perplexity": math.exp(min(total / max(1, tokens), 700.0)),
            "token_loss": total / max(1, tokens),
            "tokens": tokens,
            "bytes": size,
        }

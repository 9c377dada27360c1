"""Scores of causal language models: perplexity and bits per byte of given texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.evaluation.base import Evaluation, Sample, check_columns
from nlplug.families.causal_lm.contents import refuse_chat
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
"""From the tokens of prompts and texts to the logits of the texts' tokens, as `token_logits`."""

_PAIR = ("prompt", "completion")


@dataclass(frozen=True)
class Likelihood:
    """How well a model predicts a text.

    Attributes:
        nats: Cross entropy of the tokens and of the end of the text, summed.
        tokens: Number of these tokens.
        bytes: Size of the text in UTF-8.
    """

    nats: float
    tokens: int
    bytes: int


class LikelihoodScorer:
    """Computes the likelihood of texts with a language model, in windows that overlap by half.

    The end of a text is predicted as well. Its first token is predicted from ``before``.

    Args:
        logits: The model.
        encode: Returns the tokens of a text, without special tokens.
        before: Tokens before a text: the token that begins a text, else the one that ends a text.
        end: The token that ends a text; empty for a model without one.
        context: Maximum number of tokens per forward pass.
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
        """The likelihood of a text after a prompt, which is not predicted itself."""
        head = [*self._before, *(self._encode(prompt) if prompt else ())]
        ids = [*head, *self._encode(text), *self._end]
        first = max(1, len(head))  # a token with nothing before it cannot be predicted
        parts = list(windows(first, len(ids), self._context))
        prompts = [ids[begin:start] for begin, start, _ in parts]
        texts = [ids[start : end + 1] for _, start, end in parts]
        found = zip(self._logits(prompts, texts), texts, strict=True)
        total = sum(float(nats(logits, own).sum()) for logits, own in found)
        return Likelihood(total, len(ids) - first, len(text.encode()))


def likelihood_scorer(bundle: Bundle, logits: Logits) -> LikelihoodScorer:
    """A scorer with the tokenizer, the special tokens and the context length of a bundle.

    Args:
        bundle: A causal language model.
        logits: The model, in whatever runtime.

    Raises:
        BundleError: The tokenizer cannot be used.
    """
    tokenizer = load_tokenizer(bundle, offsets=False)
    end = GenerationConfig.of(bundle).tokens("eos_token_id")[:1]
    before, _ = tokenizer.text_frame
    return LikelihoodScorer(
        logits, tokenizer.ids, before=before or end, end=end, context=bundle.max_length
    )


class TextGenerationEvaluation(Evaluation):
    """Bits per byte, and perplexity per token, of given texts; nothing is generated.

    Rows have a text, or ``prompt`` and ``completion``; only the completion is scored.
    """

    metric: ClassVar[str] = "bits_per_byte"
    higher_is_better: ClassVar[bool] = False
    errors_title: ClassVar[str] = "Texts that are predicted worst"
    target_columns: ClassVar[Sequence[str]] = ("text", "completion")

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """Rows with ``text``, or with ``prompt`` and ``completion``.

        Args:
            path: The file.
            **columns: ``text``: name of the column with the text.
        """
        from nlplug.data.readers import read_rows

        check_columns(columns, ("text",))
        for row in read_rows(path):
            both = all(name in row.values for name in _PAIR) and not columns
            prompt, text = _PAIR if both else (None, columns.get("text", "text"))
            if not both:
                refuse_chat(row, text)
            inputs = {"prompt": row.text(prompt) if prompt else "", "text": row.text(text)}
            yield Sample(inputs, None, row.where)

    def answers(
        self, pipe: Pipeline, inputs: Iterable[dict[str, Any]], options: Mapping[str, Any]
    ) -> Iterator[Likelihood]:
        """The likelihood of each text under the pipeline's model."""
        bundle = pipe.bundle
        decoder = open_decoder(
            bundle.onnx_file(pipe.precision),
            context=bundle.max_length,
            threads=load_settings().threads,
        )
        scorer = likelihood_scorer(bundle, partial(token_logits, decoder))
        for given in inputs:
            yield scorer.likelihood(given["text"], given["prompt"])

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """Bits of each text by the mean number of bytes; the mean of these is bits per byte."""
        bits = np.array([answer.nats for answer in answers], np.float64) / math.log(2)
        sizes = np.array([answer.bytes for answer in answers], np.float64)
        found: np.ndarray = bits / (sizes.mean() if len(sizes) else 1.0)
        return found

    def decision(self, answer: Any) -> str:
        """Bits per byte of the text."""
        return f"{_bits_per_byte(answer):.3f} bits per byte"

    def truth(self, target: Any) -> str:
        """Empty: the text itself is the right answer."""
        return ""

    def errors(self, answers: Sequence[Any], targets: Sequence[Any], limit: int) -> list[int]:
        """The texts with most bits per byte."""
        worst = sorted(range(len(answers)), key=lambda index: -_bits_per_byte(answers[index]))
        return worst[:limit]

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """``bits_per_byte``, ``perplexity`` per token, ``token_loss`` in nats, and the sizes."""
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


def _bits_per_byte(answer: Likelihood) -> float:
    return answer.nats / math.log(2) / max(1, answer.bytes)

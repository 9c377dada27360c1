"""Encodes questions and contexts as windows, and decodes answers with their positions."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.errors import InputError, OptionError
from nlplug.explanations.contract import ExplainableModel, Target, stand_in_of
from nlplug.families.one_pass import Row
from nlplug.families.span_extraction.explaining import chosen_span, span_target
from nlplug.families.span_extraction.options import (
    Answer,
    SpanExtractionInput,
    SpanExtractionOptions,
)
from nlplug.families.span_extraction.spans import NBest, best_spans, distinct_spans, probabilities
from nlplug.families.span_extraction.windows import Window, WindowMaker, read_context
from nlplug.runtime.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.tokenizer import PairFrame

_WINDOW = 384
"""Default of ``max_seq_len``, as in transformers, if the model supports it."""
_INVISIBLE = frozenset({"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp"})
"""Unicode categories without visible characters: controls, combining marks, spaces."""


class SpanExtractionModel(ExplainableModel[SpanExtractionInput, SpanExtractionOptions]):
    """Answers questions with a model that scores where answers start and end.

    Args:
        bundle: A question-answering bundle.

    Raises:
        BundleError: The tokenizer cannot be used.
    """

    required_outputs: ClassVar[frozenset[str]] = frozenset({"start_logits", "end_logits"})
    token_level: ClassVar[bool] = True
    output_rank: ClassVar[int | None] = 2

    def __init__(self, bundle: Bundle) -> None:
        self._name = bundle.name
        self._tokenizer = load_tokenizer(bundle)
        self.pad_token_id = self._tokenizer.pad_token_id
        self.stand_in = stand_in_of(bundle, self._tokenizer)
        frame = self._tokenizer.pair_frame()
        self.first_position = bundle.repository.first_position
        self.pads = not bundle.repository.reads_padding
        cls = bundle.repository.special_tokens.get("cls")
        self._windows = WindowMaker(
            frame,
            _leading(frame) if cls is None else self._tokenizer.token_id(cls),
            # As in transformers: with padding on the left the context comes first.
            question_first=bundle.repository.padding_side == "right",
        )

    def encode(
        self, inputs: Sequence[SpanExtractionInput], options: SpanExtractionOptions
    ) -> list[list[Row]]:
        """Tokenize each question and each context once, and make the windows of each pair.

        Raises:
            InputError: A question has no readable character, or leaves no room for the context.
            OptionError: The windows are too long, or their overlap is too large.
        """
        size = self._size(options)
        words = options.align_to_words and self._tokenizer.splits_words
        questions = list(dict.fromkeys(item.question for item in inputs))
        contexts = list(dict.fromkeys(item.context for item in inputs))
        asked = {
            text: _question(text, encoding.ids)[: options.max_question_len]
            for text, encoding in zip(questions, self._tokenizer.pieces(questions), strict=True)
        }
        read = {
            text: read_context(text, encoding, words=words)
            for text, encoding in zip(contexts, self._tokenizer.pieces(contexts), strict=True)
        }
        return [
            self._windows.rows(asked[item.question], read[item.context], size, options.doc_stride)
            for item in inputs
        ]

    def decode(
        self,
        item: SpanExtractionInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        options: SpanExtractionOptions,
    ) -> Answer | list[Answer]:
        """The best answer, or a list of the best answers if ``top_k`` is above 1.

        The answer is the empty text with start and end 0 if the score of "no answer" exceeds the
        best one (see ``null_score_diff_threshold``), if the best score is below ``min_score``, or
        if the context contains no possible answer.
        """
        # Several spans may become the same answer when extended to words.
        count = options.top_k * 2 + 10 if options.align_to_words else options.top_k
        found = NBest(item.context, add_scores=options.window_scores == "sum")
        lowest = float("inf")
        for row, output in zip(rows, outputs, strict=True):
            window: Window = row.meta
            start, no_start = _probabilities(output["start_logits"], window)
            end, no_end = _probabilities(output["end_logits"], window)
            lowest = min(lowest, float(no_start * no_end))
            find = distinct_spans if options.distinct else best_spans
            found.add(
                window.span(first, last, score)
                for first, last, score in find(start, end, count, options.max_answer_len)
            )
        answers = [
            Answer(answer=item.context[start:end], score=score, start=start, end=end)
            for score, start, end in found.best(options.top_k, distinct=options.distinct)
        ]
        if options.handle_impossible_answer or not answers:
            nothing = lowest if options.handle_impossible_answer else 0.0
            ahead = _logarithm(nothing) - options.null_score_diff_threshold
            place = sum(_logarithm(answer["score"]) >= ahead for answer in answers)
            answers.insert(place, Answer(answer="", score=nothing, start=0, end=0))
        best = answers[0]
        if best["answer"] and best["score"] < options.min_score:
            others = [answer for answer in answers if answer["answer"]]
            withheld = Answer(answer="", score=1.0 - best["score"], start=0, end=0, abstained=True)
            answers = [withheld, *others]
        return answers[0] if options.top_k == 1 else answers[: options.top_k]

    def texts(self, item: SpanExtractionInput) -> dict[str, str]:
        """See `ExplainableModel.texts`."""
        return {"question": item.question, "context": item.context}

    def places(
        self,
        item: SpanExtractionInput,
        rows: Sequence[Row],
        options: SpanExtractionOptions,
    ) -> list[np.ndarray]:
        """See `ExplainableModel.places`."""
        [encoding] = self._tokenizer.pieces([item.question])
        asked = np.array(encoding.offsets, dtype=np.int64)[: options.max_question_len]
        found = []
        for row in rows:
            window: Window = row.meta
            table = np.full((len(row), 3), -1)
            place = self._windows.question_place(len(window.starts))
            table[place : place + len(asked)] = np.insert(asked, 0, 0, axis=1)
            context = np.stack((window.starts, window.ends), axis=1)
            table[window.place : window.place + len(context)] = np.insert(context, 0, 1, axis=1)
            found.append(table)
        return found

    def target(
        self,
        item: SpanExtractionInput,
        rows: Sequence[Row],
        outputs: Sequence[Mapping[str, np.ndarray]],
        answer: Any,
        options: SpanExtractionOptions,
    ) -> Target | None:
        """The part of the context that the options name, else the best answer."""
        answers = answer if isinstance(answer, list) else [answer]
        span = chosen_span(item.context, answers, options.explain_span)
        if span is None:
            return None
        windows = [row.meta for row in rows]
        return span_target(item.context, span, windows, outputs, _probabilities)

    def _size(self, options: SpanExtractionOptions) -> int:
        limit = self._tokenizer.max_length
        size = min(limit, _WINDOW) if options.max_seq_len is None else options.max_seq_len
        if size > limit:
            raise OptionError(
                f"max_seq_len is {size}, but the window of {self._name!r} is {limit} tokens.",
                hint=f"Set max_seq_len to at most {limit}.",
            )
        room = size - self._windows.special_tokens
        if options.doc_stride is not None and options.doc_stride >= room:
            raise OptionError(
                f"doc_stride is {options.doc_stride}, but a window of {size} tokens has room for "
                f"{max(room, 0)} tokens besides the special tokens.",
                hint="Set a lower doc_stride or a higher max_seq_len.",
            )
        return size


def _question(text: str, ids: list[int]) -> list[int]:
    """The tokens of a question; without a readable character the answer would be random."""
    # Byte-level tokenizers have tokens for invisible characters, too.
    if not ids or all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise InputError(
            f"question is {text[:40]!a}: it has no character that the model can read.",
            hint="Give a question in words.",
        )
    return ids


def _probabilities(logits: np.ndarray, window: Window) -> tuple[np.ndarray, float]:
    null = None if window.null is None else float(logits[window.null])
    return probabilities(logits[window.place : window.place + len(window.starts)], null)


def _logarithm(score: float) -> float:
    return math.log(max(score, sys.float_info.min))


def _leading(frame: PairFrame) -> int | None:
    """If the tokenizer names no [CLS] token, the first special token is used."""
    return frame.before[0] if frame.before else None

"""Windows of questions and contexts: rows for the graph, and the positions of their tokens.

Question and context are tokenized once each and combined here, so a context of a million characters
needs one pass of the tokenizer and two integers per token for any number of windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nlplug.errors import InputError, OptionError
from nlplug.families.span_extraction.spans import ScoredSpan
from nlplug.runtime.model import Row
from nlplug.text.characters import widen
from nlplug.text.windows import window_spans

if TYPE_CHECKING:
    from tokenizers import Encoding

    from nlplug.runtime.tokenizer import PairFrame


@dataclass(slots=True)
class Context:
    """The tokens of one context. No token begins or ends within a character.

    Attributes:
        ids: Shape (tokens,).
        starts: First character of each token, or of its word if answers are extended to words.
        ends: End of the same token or word, exclusive.
        low: First character of the token itself.
        high: End of the token itself, exclusive.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(slots=True)
class Window:
    """The data for decoding one row.

    Attributes:
        place: Position of the first token of the context in the row.
        starts: ``Context.starts`` of the tokens of this window.
        ends: ``Context.ends`` of the tokens of this window.
        low: First character of the window.
        high: End of the window, exclusive.
        null: Position of [CLS] in the row; None without [CLS].
    """

    place: int
    starts: np.ndarray
    ends: np.ndarray
    low: int
    high: int
    null: int | None

    def span(self, first: int, last: int, score: float) -> tuple[slice, ScoredSpan]:
        """A span of tokens as characters: the part within the window, and the whole span."""
        start, end = int(self.starts[first]), int(self.ends[last])
        return slice(max(start, self.low), min(end, self.high)), ScoredSpan(score, start, end)


def read_context(text: str, encoding: Encoding, *, words: bool) -> Context:
    """Make a `Context` from an encoding.

    Args:
        text: The context.
        encoding: The encoding of the context without special tokens.
        words: Whether answers are extended to whole words.
    """
    ids = np.array(encoding.ids, dtype=np.int32)
    places = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    low, high = widen(text, np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1]))
    if not words or not len(ids):
        return Context(ids, low, high, low, high)
    word = np.array([-1 if one is None else one for one in encoding.word_ids], dtype=np.int32)
    edges = np.flatnonzero(word[1:] != word[:-1]) + 1
    firsts = np.concatenate(([0], edges))
    lasts = np.concatenate((edges, [len(ids)]))
    lengths = lasts - firsts
    starts = np.where(word < 0, low, np.repeat(low[firsts], lengths))
    ends = np.where(word < 0, high, np.repeat(high[lasts - 1], lengths))
    return Context(ids, starts, ends, low, high)


class WindowMaker:
    """Combines question and context to rows.

    Args:
        frame: The special tokens around a pair.
        cls: Id of the token whose logits score "no answer"; None without such a token.
        question_first: Whether the question comes before the context.
    """

    def __init__(self, frame: PairFrame, cls: int | None, *, question_first: bool) -> None:
        self._frame = frame
        self._cls = cls
        self._question_first = question_first
        self.special_tokens = len(frame.before) + len(frame.between) + len(frame.after)

    def rows(
        self, question: Sequence[int], context: Context, size: int, stride: int | None
    ) -> list[Row]:
        """The rows that cover a context.

        Args:
            question: Token ids of the question.
            context: The context.
            size: Maximum number of tokens in a row.
            stride: Number of tokens of the context that neighboring rows share; None: half of
                ``size``, at most 128 and at most half of the context tokens of a row.

        Raises:
            InputError: The question leaves no room for the context.
            OptionError: The stride leaves no room for new tokens.
        """
        room = size - self.special_tokens - len(question)
        if room < 1:
            raise InputError(
                f"The question has {len(question)} tokens and leaves no room for the context: a "
                f"window is {size} tokens, {self.special_tokens} of them special ones.",
                hint="Shorten the question, set a lower max_question_len or a higher max_seq_len.",
            )
        head, tail, types = self._around(question)
        return [
            self._row(head, tail, types, context, part)
            for part in _parts(len(context.ids), room, size, stride)
        ]

    def question_place(self, context: int) -> int:
        """Position of the first token of the question in a row.

        Args:
            context: Number of tokens of the context in the row.
        """
        before = len(self._frame.before)
        return before if self._question_first else before + context + len(self._frame.between)

    def _around(
        self, question: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, int, np.ndarray]]:
        """Token ids before and after the context, and the type ids of all three parts."""
        frame, ids = self._frame, np.asarray(question, dtype=np.int32)
        before, first, between, second, after = frame.types
        if self._question_first:
            head = np.concatenate((frame.before, ids, frame.between))
            types = (*before, *first * len(ids), *between), second[0], after
            tail = np.array(frame.after)
        else:
            head = np.array(frame.before)
            types = before, first[0], (*between, *second * len(ids), *after)
            tail = np.concatenate((frame.between, ids, frame.after))
        lists = np.array(types[0], dtype=np.int32), types[1], np.array(types[2], dtype=np.int32)
        return head.astype(np.int32), tail.astype(np.int32), lists

    def _row(
        self,
        head: np.ndarray,
        tail: np.ndarray,
        types: tuple[np.ndarray, int, np.ndarray],
        context: Context,
        part: slice,
    ) -> Row:
        inner = context.ids[part]
        features = {"input_ids": np.concatenate((head, inner, tail))}
        if types[1] or types[0].any() or types[2].any():
            middle = np.full(len(inner), types[1], dtype=np.int32)
            features["token_type_ids"] = np.concatenate((types[0], middle, types[2]))
        low, high = context.low[part], context.high[part]
        window = Window(
            place=len(head),
            starts=context.starts[part],
            ends=context.ends[part],
            low=int(low[0]) if len(low) else 0,
            high=int(high[-1]) if len(high) else 0,
            null=self._null(len(head), len(inner), len(tail)),
        )
        return Row(features, window)

    def _null(self, head: int, inner: int, tail: int) -> int | None:
        frame, total = self._frame, head + inner + tail
        if self._cls in frame.before:
            return frame.before.index(self._cls)
        if self._cls in frame.after:
            return total - len(frame.after) + frame.after.index(self._cls)
        return None


def _parts(tokens: int, room: int, size: int, stride: int | None) -> list[slice]:
    if stride is None:
        # The default must also be valid with a long question.
        stride = min(size // 2, 128)
        if stride >= room:
            stride = room // 2
    if tokens > room and stride >= room:
        raise OptionError(
            f"doc_stride is {stride}, but a window has room for {room} tokens of the context.",
            hint=f"Set doc_stride to 0 up to {room - 1}, or set a higher max_seq_len.",
        )
    return window_spans(tokens, room, stride)

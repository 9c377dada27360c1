"""A generated text as HTML: tokens with their probability, sentences with alternatives."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nlplug.task import Task, localize
from nlplug.text.language import guess
from nlplug_webui.texts import say

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.answers import TextPiece

_MOST_KEPT = 200
_MOST_TOKENS = 4000
"""A longer text is shown without the probabilities."""


@dataclass
class WrittenText:
    """The pieces of a text.

    Attributes:
        pieces: For each piece its text, its part, and its log-probability or None.
    """

    pieces: list[tuple[str, int, float | None]] = field(default_factory=list)
    _waiting: float = 0.0

    def take(self, piece: TextPiece) -> None:
        """Add a piece; the tokens of one without text belong to the next one."""
        self._waiting += sum(piece.logprobs)
        if piece.text:
            known = self._waiting if piece.logprobs else None
            self.pieces.append((piece.text, piece.part, known))
            self._waiting = 0.0

    def html(
        self, language: str, *, before: str = "", parts: bool = False, kept: Sequence[str] = ()
    ) -> str:
        """The text; its text content is the text itself.

        Args:
            language: Language of the titles.
            before: The prompt, which is shown in a weaker colour.
            parts: Whether each part is a button for its alternatives.
            kept: Texts of the input that are unchanged in the answer; they are marked.
        """
        given = f'<span class="np-given">{escape(before)}</span>' if before else ""
        marks = _Marks(kept, language)
        chances = len(self.pieces) <= _MOST_TOKENS
        shown = []
        for number, group in groupby(self.pieces, key=lambda piece: piece[1]):
            pieces = list(group)
            text = "".join(piece[0] for piece in pieces)
            if chances and any(piece[2] is not None for piece in pieces):
                inner = "".join(_token(piece[0], piece[2], language) for piece in pieces)
            else:
                inner = marks.html(text)
            shown.append(_button(inner, number, language) if parts and text.strip() else inner)
        return f'<div class="np-text">{given}{"".join(shown)}</div>'


def kept_note_html(kept: Sequence[str], language: str) -> str:
    """How many parts are unchanged; empty if there are none."""
    if not kept:
        return ""
    note = escape(say("kept_count", language, n=len(kept)))
    return f'<p class="np-note np-kept-note">{note}</p>'


def call_html(
    task: Task, model: str, precision: str, item: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """A hidden element with the call, by which the script asks for alternatives."""
    call = {
        "task": task.name,
        "model": model,
        "precision": precision,
        "item": dict(item),
        "options": dict(options),
    }
    data = escape(json.dumps(call, ensure_ascii=True, default=str))
    return f'<span hidden class="np-call" data-call="{data}"></span>'


def detected_html(
    task: Task, bundle: Bundle, item: Mapping[str, Any], options: Mapping[str, Any], language: str
) -> str:
    """A hidden element with the language of the input, if the model is told it by detection."""
    sources = task.choices(bundle).get("src_lang", {})
    if len(sources) < 2 or options.get("src_lang"):
        return ""
    text = next((value for value in item.values() if isinstance(value, str)), "")
    found = guess(text, sources)
    if found is None:
        return ""
    return f'<span hidden data-detected="{escape(localize(sources[found], language))}"></span>'


class _Marks:
    """Marks texts that are unchanged."""

    def __init__(self, kept: Sequence[str], language: str) -> None:
        texts = sorted({text.strip() for text in kept[:_MOST_KEPT]} - {""}, key=len, reverse=True)
        self._kept = re.compile("|".join(map(re.escape, texts))) if texts else None
        self._title = escape(say("kept", language))

    def html(self, text: str) -> str:
        if self._kept is None:
            return escape(text)
        done, parts = 0, []
        for found in self._kept.finditer(text):
            parts.append(escape(text[done : found.start()]))
            parts.append(f'<mark class="np-kept" title="{self._title}">{escape(found[0])}</mark>')
            done = found.end()
        return "".join(parts) + escape(text[done:])


def _token(text: str, logprob: float | None, language: str) -> str:
    if logprob is None:
        return escape(text)
    chance = math.exp(min(0.0, logprob))
    title = escape(say("token_probability", language, share=f"{chance:.1%}"))
    level = min(3, int(chance * 4))
    return f'<span class="np-token np-token-{level}" title="{title}">{escape(text)}</span>'


def _button(html: str, number: int, language: str) -> str:
    title = escape(say("alternatives", language))
    return (
        f'<span class="np-part-button" role="button" tabindex="0" aria-haspopup="dialog" '
        f'title="{title}" data-part="{number}">{html}</span>'
    )

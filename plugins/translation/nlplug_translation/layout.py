"""What of a text is for the model, and what stays: line ends, indents, bullets, spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nlplug_translation.invisible import INVISIBLE, places, visible
from nlplug_translation.protected import Pattern, Span, spans
from nlplug_translation.sentences import sentences

# Colours and links of terminals; line ends of any kind, tabs between cells, and what no text should
# hold.
_CONTROLS = re.compile(
    r"((?:\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x00-\x1f\x7f]{0,2000}(?:\x07|\x1b\\)"
    r"|[\x00-\x1f\x7f-\x9f\u2028\u2029])+)"
)
_LINE_ENDS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_BLANK = rf"\s{INVISIBLE}"
# Indents, quotation marks of mails, bullets, numbers of lists and headings, boxes to tick,
# footnotes.
_LEAD = re.compile(
    rf"\A[{_BLANK}]*(?:(?:>+|[-*+•‣◦▪·–—]|\#{{1,6}}|\(?(?:\d{{1,3}}(?:\.\d{{1,3}})*|[ivx]{{1,5}}"
    rf"|[IVX]{{1,5}}|[A-Za-z])[.)]|\d{{1,2}}(?:\.\d{{1,2}}){{1,4}}(?=\s+[A-ZÀ-Þ])|\[[ xX]?\]"
    rf"|\[\^?[\w-]{{1,20}}\]:)[{INVISIBLE}]*\s[{_BLANK}]*)*"
)
# Behind a colour or a tab: marks that end the text before it.
_MARKS = re.compile(rf"\A[,;:!?…)\]»”’]+[{_BLANK}]+")
_CORE = re.compile(rf"[^{_BLANK}](?:.*[^{_BLANK}])?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text.

    Attributes:
        text: Its text.
        translate: Whether it is one for the model; if so, it is a sentence, with letters in it and
            nothing around it that cannot be seen.
    """

    text: str
    translate: bool


def lay_out(
    text: str, *, split: bool = True, protect: bool = True, patterns: Sequence[Pattern] = ()
) -> list[Piece]:
    """Cut a text into pieces; joined they are the text.

    Args:
        text: Any text.
        split: At sentences; else only at line ends and tabs.
        protect: Whether what may not change (tags, code) is not cut.
        patterns: A user's patterns of what may not change.
    """
    pieces: list[Piece] = []
    fresh = True  # at the beginning of a line
    done = 0
    for block in [*_blocks(text, protect, patterns), None]:
        for part in _CONTROLS.split(text[done : block.start if block else len(text)]):
            if _CONTROLS.fullmatch(part):
                pieces.append(Piece(part, False))
                fresh = fresh or not _LINE_ENDS.isdisjoint(part)
            elif part:
                pieces += _line(part, split, protect, patterns, fresh)
                fresh = False
        if block:
            pieces.append(Piece(block.text, False))
            fresh, done = False, block.end
    return [piece for piece in pieces if piece.text]


def _blocks(text: str, protect: bool, patterns: Sequence[Pattern]) -> list[Span]:
    """What may not change and goes over several lines."""
    if not (protect and _CONTROLS.search(text)):
        return []
    return [span for span in spans(text, patterns) if _CONTROLS.search(span.text)]


def _line(
    text: str, split: bool, protect: bool, patterns: Sequence[Pattern], fresh: bool
) -> list[Piece]:
    lead = (_LEAD if fresh else _MARKS).match(text)
    done = lead.end() if lead else 0
    pieces = [Piece(text[:done], False)]
    text, done = text[done:], 0
    found = _sentences(text) if split else [(0, len(text))]
    for start, end in _whole(found, text, patterns) if protect and len(found) > 1 else found:
        if core := _CORE.search(text, start, end):
            pieces.append(Piece(text[done : core.start()], False))
            pieces.append(Piece(core[0], any(map(str.isalpha, core[0]))))
            done = core.end()
    pieces.append(Piece(text[done:], False))
    return pieces


def _sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of a line, as if it held nothing that cannot be seen."""
    shown = visible(text)
    if shown == text:
        return sentences(text)
    stands = places(text)
    return [(stands[start], stands[end - 1] + 1) for start, end in sentences(shown)]


def _whole(
    found: list[tuple[int, int]], text: str, patterns: Sequence[Pattern]
) -> list[tuple[int, int]]:
    """Sentences without those ends that are inside of a protected part."""
    kept = iter(spans(text, patterns))
    span = next(kept, None)
    joined = [found[0]]
    for start, end in found[1:]:
        while span and span.end <= joined[-1][1]:
            span = next(kept, None)
        if span and span.start < joined[-1][1]:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined

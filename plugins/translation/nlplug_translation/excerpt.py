"""A stretch of a text with what may not change in it, and the ways to cut it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nlplug_translation.invisible import visible
from nlplug_translation.protected import EMPHASIS, Span
from nlplug_translation.sentences import halve, is_spaced

_ROW = re.compile(r"\b([^\W\d_]{1,30})(?:[\s,]{1,3}\1\b){3,}", re.IGNORECASE)
_SPLIT = re.compile(r"([\s,]+)")
_BRACKETS = re.compile(r"[()\[\]]")
_PARTNERS = {"(": ")", "[": "]"}
_QUOTES = (('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("‘", "’"), ("'", "'"))
_MARKS = re.compile(r"""["“”„«»‘’']""")
_CLOSING = dict(_QUOTES)
# Before a quotation in a dialogue.
_DASH = re.compile(r"[-–—](?=\s)")
_TAG = re.compile(r"</?([A-Za-z][\w:-]*)")
_TWO_LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a text with its protected spans.

    Attributes:
        text: The stretch.
        kept: Its spans, in their order; they do not overlap, nor go beyond the stretch.
    """

    text: str
    kept: tuple[Span, ...] = ()

    def cut(self, start: int, end: int) -> Excerpt:
        """A stretch of this one that does not begin or end within a span."""
        first = bisect_left(self.kept, start, key=lambda span: span.start)
        last = bisect_left(self.kept, end, key=lambda span: span.start)
        moved = (
            replace(span, start=span.start - start, end=span.end - start)
            for span in self.kept[first:last]
        )
        return Excerpt(self.text[start:end], tuple(moved))

    def between(self) -> Iterator[tuple[int, int]]:
        """The places of the stretches around the spans; one more than there are spans."""
        done = 0
        for span in self.kept:
            yield done, span.start
            done = span.end
        yield done, len(self.text)

    def has_words(self) -> bool:
        """Whether there are letters outside of the spans."""
        return any(any(map(str.isalpha, self.text[a:b])) for a, b in self.between())

    def is_in_capitals(self) -> bool:
        """Whether all letters outside of the spans are capitals, in two words at least."""
        text = " ".join(self.text[a:b] for a, b in self.between())
        return text.isupper() and len(_TWO_LETTERS.findall(text)) > 1

    def peeled(self, *, quotes: bool = False) -> tuple[str, Excerpt, str]:
        """What does not belong to the sentence at its ends: blanks, tags, and unknown marks.

        Args:
            quotes: Also quotation marks around the whole, one that has no partner in it, and a dash
                before it.
        """
        text, kept = self.text, self.kept
        start, end, first, last = 0, len(text), 0, len(kept)
        while start < end:
            if _is_blank(text[start]) or (quotes and _DASH.match(text, start)):
                start += 1
            elif first < last and kept[first].start == start and kept[first].is_around:
                start, first = kept[first].end, first + 1
            else:
                break
        while start < end:
            if _is_blank(text[end - 1]):
                end -= 1
            elif first < last and kept[last - 1].end == end and kept[last - 1].is_around:
                end, last = kept[last - 1].start, last - 1
            else:
                break
        low, high = self._with_partners(first, last)
        start = kept[low].start if low < first else start
        end = kept[high - 1].end if high > last else end
        own = self.cut(start, end)
        first, last = _quoted(own._without_spans()) if quotes else (0, 0)
        if first or last:
            before, inner, behind = own.cut(first, len(own.text) - last).peeled(quotes=True)
            return text[: start + first] + before, inner, behind + text[end - last :]
        return text[:start], own, text[end:]

    def _without_spans(self) -> str:
        """The text with other letters in the place of the spans, which may hold any mark."""
        text, done = "", 0
        for span in self.kept:
            text += self.text[done : span.start] + "x" * (span.end - span.start)
            done = span.end
        return text + self.text[done:]

    def _with_partners(self, first: int, last: int) -> tuple[int, int]:
        """A range of spans, extended by the tags around it whose partners are within it."""
        partners: dict[int, int] = {}
        for opening, closing in self._partners():
            partners |= {opening: closing, closing: opening}
        count = len(self.kept)
        while True:  # tags are nested, so this ends after a few rounds
            ahead = (n for n in range(first) if first <= partners.get(n, -1) < last)
            begin = min(ahead, default=first)
            behind = (n + 1 for n in range(last, count) if begin <= partners.get(n, -1) < last)
            end = max(behind, default=last)
            if (begin, end) == (first, last):
                return first, last
            first, last = begin, end

    def _partners(self) -> Iterator[tuple[int, int]]:
        """The opening and the closing tag of each element, by their numbers among the spans; inner
        ones come first."""
        opened: list[tuple[str, int]] = []
        for number, span in enumerate(self.kept):
            if span.kind == "tag" and span.text in EMPHASIS:
                if opened and opened[-1][0] == span.text:
                    yield opened.pop()[1], number
                else:
                    opened.append((span.text, number))
                continue
            name = _TAG.match(span.text) if span.kind == "tag" else None
            if name is None or span.text.endswith("/>"):
                continue
            if not span.text.startswith("</"):
                opened.append((name[1], number))
            elif opened and opened[-1][0] == name[1]:
                yield opened.pop()[1], number

    def row(self) -> tuple[Excerpt | str, ...]:
        """The excerpt around a word that occurs at least four times in a row, and these words."""
        found = _ROW.search(self.text)
        if not found:
            return ()
        start, end = found.span()
        behind = bisect_left(self.kept, end, key=lambda span: span.start)
        if behind and self.kept[behind - 1].end > start:
            return ()
        words = (Excerpt(part) if part.isalpha() else part for part in _SPLIT.split(found[0]))
        return self.cut(0, start), *words, self.cut(end, len(self.text))

    def halves(self) -> tuple[Excerpt, str, Excerpt] | None:
        """The two halves of the excerpt and the text between them; None for a single word."""
        text, kept = self.text, self.kept
        place = halve(text)
        index = bisect_left(kept, place, key=lambda span: span.end)
        if index < len(kept) and kept[index].start < place < kept[index].end:
            place = kept[index].end if kept[index].end < len(text) else kept[index].start
        elif is_spaced(text[place - 1 : place]) and is_spaced(text[place : place + 1]):
            return None
        end, start = len(text[:place].rstrip()), len(text) - len(text[place:].lstrip())
        if not 0 < end <= start < len(text):
            return None
        return self.cut(0, end), text[end:start], self.cut(start, len(text))

    def at_brackets(self) -> list[Excerpt | str]:
        """The excerpt cut at its outermost brackets; empty if one has no partner."""
        parts: list[Excerpt | str] = []
        opening, done, depth = "", 0, 0
        for start, end in self.between():
            for found in _BRACKETS.finditer(self.text, start, end):
                mark = found[0]
                if not depth and mark not in _PARTNERS:
                    return []
                opening = opening if depth else mark
                if mark not in (opening, _PARTNERS[opening]):
                    continue
                outermost = depth == (mark != opening)
                depth += 1 if mark == opening else -1
                if outermost:
                    parts += [self.cut(done, found.start()), mark]
                    done = found.end()
        return [] if depth else [*parts, self.cut(done, len(self.text))]

    def hiding(self, hidden: Sequence[Span]) -> Excerpt:
        """The excerpt with some spans in the place of those within them."""
        if not hidden:
            return self
        kept = [
            span
            for span in self.kept
            if not any(one.start <= span.start and span.end <= one.end for one in hidden)
        ]
        return Excerpt(self.text, tuple(sorted([*kept, *hidden], key=lambda span: span.start)))

    def quotations(self, *, first: bool = False) -> list[Span]:
        """The quotations within the excerpt, with their marks.

        One without its end goes to the end of the excerpt, and one without its beginning begins at
        that of the excerpt: the rest of it is in another sentence. Empty if nothing else has words.

        Args:
            first: Also one that the excerpt begins with; models know such sentences.
        """
        found: list[tuple[int, int]] = []
        opened = -1
        # Marks that may be apostrophes are two at most, and none is within a word.
        straight = self.text.count("'") == 2
        curly = self.text.count("‘") == self.text.count("’") == 1
        for mark in (
            mark for start, end in self.between() for mark in _MARKS.finditer(self.text, start, end)
        ):
            place, letter = mark.start(), mark[0]
            if (letter == "'" and not straight) or (letter in "‘’" and not curly):
                continue
            if opened >= 0:
                if letter == _CLOSING[self.text[opened]] and self._closes(place):
                    found.append((opened, place + 1))
                    opened = -1
            elif letter in _CLOSING and self._opens(place):
                opened = place
            elif letter in '"”»' and not found and self._closes(place) and not self._inch(place):
                found.append((0, place + 1))
        if opened > 0 and self.text[opened] not in "'‘":
            found.append((opened, len(self.text)))
        found = [
            (start, end)
            for start, end in found
            if _TWO_LETTERS.search(self.text, start, end) and (start or end < len(self.text))
        ]
        if not first and found and found[0][0] == 0 and self.text[0] in _CLOSING:
            del found[0]
        rest, done = "", 0
        for start, end in found:
            rest, done = rest + self.text[done:start] + " ", end
        if not _TWO_LETTERS.search(rest + self.text[done:]):
            return []
        return [Span(start, end, self.text[start:end], "quotation") for start, end in found]

    def _opens(self, place: int) -> bool:
        before, behind = self.text[place - 1 : place], self.text[place + 1 : place + 2]
        return (before in "([-–—/>" or before.isspace()) and not behind.isspace() and behind != ""

    def _closes(self, place: int) -> bool:
        return place > 0 and not self.text[place + 1 : place + 2].isalnum()

    def _inch(self, place: int) -> bool:
        return self.text[place] == '"' and self.text[place - 1].isdigit()

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The outermost pairs of opening and closing tags, by their numbers among the spans."""
        found: list[tuple[int, int]] = []
        for opening, closing in self._partners():
            while found and found[-1][0] > opening:
                found.pop()
            found.append((opening, closing))
        yield from found


def outermost(spans: Sequence[Span]) -> list[Span]:
    """Spans in their order, without those that begin within another one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found


def _quoted(text: str) -> tuple[int, int]:
    """Number of quotation marks at both ends that are around the whole, or have no partner."""
    for first, last in _QUOTES if len(text) > 1 else ():
        begins, ends, inner = text[0] == first, text[-1] == last, text[1:-1]
        single = last in "’'"  # which may be an apostrophe too
        if first in inner or (last in inner and not single):
            continue
        if (begins and ends) or (not single and (begins or ends)):
            return int(begins), int(ends)
    return 0, 0


def _is_blank(letter: str) -> bool:
    return letter.isspace() or visible(letter) == ""

"""Sentences on their way through the model, and what is done where the model loses something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from nlplug.families.seq2seq import Again, Part, Segment, Written
from nlplug_translation.invisible import INVISIBLE, visible
from nlplug_translation.languages import Route
from nlplug_translation.protected import Span, mend, numbers, spans, stand_ins
from nlplug_translation.sentences import halve

# These stand between words as well as for some: what is on their sides is translated by itself.
_APART = frozenset({"tag", "code", "emoji"})
_NUMBER = "number"
_STOPS = ".!?…。！？"
_WORDS = re.compile(r"\w.*\w|\w", re.DOTALL)
# Marks that end something stay before what follows them; others may open a word or placeholder.
_WITH_MARKS = re.compile(rf"[^\s{INVISIBLE},;:.!?…)\]»”’](?:.*[^\s{INVISIBLE}])?", re.DOTALL)


@dataclass(frozen=True)
class Sentence(Segment):
    """One with nothing to look after."""

    trims: ClassVar[bool] = True


@dataclass(frozen=True)
class Fragment(Segment):
    """A piece of a sentence, to stand between others.

    Attributes:
        text: As it stands in the input.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    text: str

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations, without the capital and the full stop of a sentence of its own."""
        texts = []
        for one in written:
            text = one.text
            if self.text[-1:] not in _STOPS:
                text = text.rstrip(_STOPS).rstrip()
            if self.text[:1].islower() and text[:1].isupper() and not text[1:2].isupper():
                text = text[0].lower() + text[1:]
            texts.append(text)
        return texts


@dataclass(frozen=True)
class Watched(Segment):
    """One that holds what may not change, or whose translation may not fit.

    Attributes:
        text: As it stands in the input.
        kept: What may not change.
        marks: For each of those that the model cannot be expected to write, the number that stands
            for it in the source.
        writer: Makes the segments that may take this one's place.
        hidden: Whether numbers, too, are marked by others: models write small ones in words.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    text: str
    kept: tuple[Span, ...]
    marks: tuple[tuple[str, str], ...]
    writer: Writer = field(compare=False)
    hidden: bool = False

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations, if all is in them; else those of smaller stretches, put together."""
        if any(one.cut for one in written) and self.writer.long(self.ids):
            return put_together(self.writer.halves(self.text, self.kept), again)
        texts = [restored(one.text, self.kept, self.marks, self.hidden) for one in written]
        found = [text for text in texts if text is not None]
        if len(found) == len(texts):
            return found
        if not self.hidden and any(span.kind == _NUMBER for span in self.kept):
            return again([self.writer.watched(self.text, self.kept, hidden=True)])[0]
        return put_together(self.writer.around(self.text, self.kept), again)


@dataclass(frozen=True)
class Writer:
    """Makes segments of sentences.

    Attributes:
        tokens: From a text to its tokens.
        route: What goes around them.
        room: Tokens that a source may have, special ones included.
        limit: Tokens that a translation may have.
        protect: Whether some things may not change.
        truncate: Whether what is too long is cut off, and not translated in parts.
        spaced: Whether the language of the translation has spaces between words.
    """

    tokens: Callable[[str], Sequence[int]]
    route: Route
    room: int
    limit: int
    protect: bool = True
    truncate: bool = False
    spaced: bool = True

    def parts(self, text: str) -> list[Part]:
        """The parts of one sentence."""
        kept = spans(text) if self.protect else []
        if not _has_words(text, kept):
            return [text]
        apart = [span for span in kept if span.kind in _APART]
        if apart:
            return [
                part
                for piece in around(text, apart, marks=True)
                for part in (self.parts(piece.text) if piece.translate else [piece.text])
            ]
        shown = visible(text, kept)
        if shown != text:  # numbers and addresses may be others now
            return self.parts(shown)
        watched = self.watched(text, tuple(kept))
        ids = watched.ids
        if len(ids) > self.room:
            if self.truncate:
                return [Sentence((*ids[: self.room - len(self.route.behind)], *self.route.behind))]
            return self.halves(text, kept)
        return [watched] if kept or self.long(ids) else [Sentence(ids)]

    def watched(self, text: str, kept: tuple[Span, ...], *, hidden: bool = False) -> Watched:
        """A sentence in which addresses and placeholders, and if need be numbers, are hidden."""
        others = [span.text for span in kept if hidden or span.kind != _NUMBER]
        marks = tuple(zip(stand_ins(len(others), text), others, strict=False))
        names = iter(marks)
        done, source = 0, ""
        for span in kept:
            shown = span.text if span.kind == _NUMBER and not hidden else next(names, ("",))[0]
            source += text[done : span.start] + shown
            done = span.end
        return Watched(self._ids(source + text[done:]), text, kept, marks, self, hidden)

    def long(self, ids: Sequence[int]) -> bool:
        """Whether there may be no room for the translation of a source, by its length."""
        return len(ids) <= self.limit < 2 * len(ids)

    def around(self, text: str, kept: Sequence[Span]) -> list[Part]:
        """The parts of a sentence with its protected spans as they are."""
        return [
            part
            for piece in around(text, kept)
            for part in (self._unwatched(piece.text) if piece.translate else [piece.text])
        ]

    def halves(self, text: str, kept: Sequence[Span]) -> list[Part]:
        """The parts of a sentence that is too long, cut in two; a single character stays."""
        place = halve(text)
        for span in kept:
            if span.start < place < span.end:
                place = span.end if span.end < len(text) else span.start
        if not 0 < place < len(text):
            return self.around(text, kept) if kept else [text]
        left, right = text[:place].rstrip(), text[place:].lstrip()
        before, behind = self.parts(left), self.parts(right)
        begin, end = len(left), len(text) - len(right)
        # The model ends its text where it likes; what stays as it is ends where it did.
        free = _is_first_written(before[::-1]) and all(span.end != begin for span in kept)
        free |= _is_first_written(behind) and all(span.start != end for span in kept)
        between = text[begin:end] or (" " if free and self.spaced else "")
        return [*before, between, *behind]

    def _unwatched(self, text: str) -> list[Part]:
        """The parts of a stretch in which there is nothing to protect."""
        ids = self._ids(text)
        if len(ids) > self.room:
            return self.halves(text, ())
        return [Watched(ids, text, (), (), self)] if self.long(ids) else [Fragment(ids, text)]

    def _ids(self, text: str) -> tuple[int, ...]:
        route = self.route
        return (*route.before, *self.tokens(route.prefix + text), *route.behind)


def _is_first_written(parts: Sequence[Part]) -> bool:
    """Whether the first part that is not empty is the model's."""
    return isinstance(next(filter(None, parts), None), Segment)


def _has_words(text: str, kept: Sequence[Span]) -> bool:
    """Whether there are letters beside what may not change."""
    done = 0
    for span in (*kept, None):
        if any(map(str.isalpha, text[done : span.start if span else len(text)])):
            return True
        done = span.end if span else done
    return False


class Kept(str):
    """What may not change, between what the model wrote."""

    __slots__ = ()


@dataclass(frozen=True)
class Stretch:
    """A stretch of a sentence.

    Attributes:
        text: As it stands there.
        translate: Whether it is one for the model.
    """

    text: str
    translate: bool


def around(text: str, kept: Sequence[Span], *, marks: bool = False) -> Iterator[Stretch]:
    """A sentence cut at its protected spans; joined, the stretches are the sentence.

    Args:
        text: The sentence.
        kept: What is cut out of it.
        marks: Whether the model also gets the marks behind the words.
    """
    words = _WITH_MARKS if marks else _WORDS
    done = 0
    for span in (*kept, None):
        between = text[done : span.start if span else len(text)]
        core = words.search(between)
        if core and any(map(str.isalpha, core[0])):
            yield Stretch(between[: core.start()], False)
            yield Stretch(core[0], True)
            between = between[core.end() :]
        yield Stretch(between, False)
        if span:
            yield Stretch(Kept(span.text), False)
            done = span.end


def put_together(parts: Sequence[Part], again: Again) -> list[str]:
    """The versions of a text of which some parts stay and some are for the model."""
    made = again([part for part in parts if isinstance(part, Segment)])
    count = max(map(len, made), default=1)
    versions = []
    for number in range(count):
        texts = iter(made)
        text = ""
        last: Part = ""
        for part in parts:
            new = part if isinstance(part, str) else next(texts)[number]
            if new:
                grows = isinstance(last, Kept) != isinstance(part, Kept)
                between = isinstance(last, Segment) or isinstance(part, Segment)
                text += (_gap(text, new) if grows and between else "") + new
                last = part
        versions.append(text)
    return versions


def restored(
    text: str, kept: Sequence[Span], marks: Sequence[tuple[str, str]], hidden: bool = False
) -> str | None:
    """A translation with all that may not change in it; None if something is lost or added."""
    wanted = [span.text for span in kept if span.kind == _NUMBER and not hidden]
    mended = mend(text, [*wanted, *(mark for mark, _ in marks)])
    if mended is None:
        return None
    for mark, original in marks:
        place = next((found for found in _places(mended, mark)), None)
        if place is None:
            return None
        mended = mended[:place] + original + mended[place + len(mark) :]
    same = Counter(span.text for span in spans(mended)) == Counter(span.text for span in kept)
    return mended if same else None


def _places(text: str, mark: str) -> Iterator[int]:
    if mark in numbers(text):
        yield from (
            found.start() for found in re.finditer(rf"(?<!\d){re.escape(mark)}(?!\d)", text)
        )


def _gap(before: str, after: str) -> str:
    """A space between the model's text and what may not change, where none stood: else one would
    grow into the other. Scripts without spaces need none.
    """
    if not before:
        return ""
    left, right = before[-1], after[0]
    apart = left.isspace() or right.isspace() or _spaceless(left) or _spaceless(right)
    return "" if apart else " "


def _spaceless(letter: str) -> bool:
    """Whether a letter is of a script that writes no spaces between words."""
    return (
        "\u2e80" <= letter <= "\u9fff"
        or "\uf900" <= letter <= "\ufaff"
        or ("\uff00" <= letter <= "\uffef")
    )

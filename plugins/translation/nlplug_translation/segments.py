"""Sentences in the model: masked, translated, checked, and repaired if necessary."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import ClassVar

from nlplug.families.seq2seq import Again, Part, Segment, Written
from nlplug.text.language_codes import SPACELESS
from nlplug_translation.checks import (
    has_fitting_length,
    has_more,
    has_moved_number,
    is_brief,
    is_faithful,
    lacks_brackets,
    without_repeats,
)
from nlplug_translation.excerpt import Excerpt
from nlplug_translation.invisible import visible
from nlplug_translation.joining import put_together, version
from nlplug_translation.languages import Route
from nlplug_translation.masks import MaskedText, masked
from nlplug_translation.protected import APART, Pattern, Span, spans, united
from nlplug_translation.quoting import Quotable, Quoting, beside
from nlplug_translation.sentences import has_clauses, is_spaced
from nlplug_translation.vocabulary import Vocabulary

_NUMBER = frozenset({"number"})
_STOPS = ".!?…。！？"
# What may follow them in the same sentence.
_CLOSERS = "\"'”’»›)] "
# How often a stretch is halved before its source stays as it is.
_ROUNDS = 5
_PRONOUN = re.compile(r"\bi\b")
_CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)


@dataclass(frozen=True)
class Sentence(Segment):
    """A source whose translation is taken as it comes."""

    trims: ClassVar[bool] = True


@dataclass(frozen=True)
class Checked(Quotable):
    """A source whose translation is checked, and repaired if the check fails.

    Attributes:
        masked: As the model sees it.
        writer: Makes the segments that may take this one's place.
        capitals: Whether it is in capitals; the model then gets lower case.
        rounds: How often it has been cut; 0 for a whole sentence.
        elements: Whether each pair of tags is masked with what it holds.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    masked: MaskedText
    writer: Writer = field(compare=False)
    capitals: bool = False
    rounds: int = 0
    elements: bool = False

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations; what does not pass is made of smaller stretches, or is the source."""
        texts = [self.passed(one) for one in written]
        mended = self._mended(again) if None in texts else []
        brief = any(
            text is not None and is_brief(len(self.ids), len(one.tokens))
            for text, one in zip(texts, written, strict=True)
        )
        halved = self._halved(again) if brief else []
        source = self.excerpt.text
        lacking = any(text is not None and lacks_brackets(source, text) for text in texts)
        bracketed = self._bracketed(again) if lacking else []
        return [
            version(mended, number)
            if text is None
            else self._closed(
                self._fuller(text, version(halved, number)), version(bracketed, number)
            )
            for number, text in enumerate(texts)
        ]

    def as_part(self) -> Checked:
        """See `Quotable.as_part`."""
        return replace(self, rounds=max(1, self.rounds))

    def quoted(self, places: Sequence[tuple[int, int]], again: Again) -> Checked | None:
        """See `Quotable.quoted`."""
        cut = replace(self, rounds=self.rounds + 1)
        own = []
        for start, end in places:
            parts = list(self.writer.pieces(self.excerpt.cut(start, end), cut))
            own.append(Span(start, end, put_together(parts, again)[0], "joined"))
        return self.writer.checked(self.excerpt, self, spans=beside(self.excerpt, own))

    def passed(self, one: Written) -> str | None:
        """See `Quotable.passed`."""
        writer, source, text = self.writer, self.excerpt.text, one.text
        if one.cut and len(self.ids) <= writer.limit:
            return None
        if not writer.protect:
            return text
        if writer.target_unknown in one.tokens:
            return None
        if source.rstrip(_CLOSERS)[-1:] not in _STOPS:
            text = text.rstrip(_STOPS).rstrip()
        if self.rounds and source[0].islower() and not text[1:2].isupper():
            text = text[:1].lower() + text[1:]
        restored = self.masked.restored(text.upper() if self.capitals else text)
        if restored is None or one.cut:
            return restored  # room for less than the source takes: a part is what the user wants
        if not has_fitting_length(len(self.ids), len(one.tokens)):
            return None
        kept, patterns = self.excerpt.kept, writer.patterns
        moved = has_moved_number(source, restored, writer.language)
        if moved or not is_faithful(source, restored, kept, patterns):
            return None
        plain = without_repeats(source, restored, writer.language)
        if plain == restored or is_faithful(source, plain, kept, patterns):
            return plain
        return restored

    def _mended(self, again: Again) -> list[str]:
        """The versions made of other segments. Each is smaller, or hides more from the model."""
        writer, excerpt = self.writer, self.excerpt
        cut = replace(self, rounds=self.rounds + 1)
        other = None
        if self.masked.numbers:
            other = writer.checked(excerpt, self, shown=frozenset())
        elif not self.elements and (spans := writer.elements(excerpt, cut, again)):
            changed = replace(self, elements=True)
            other = writer.checked(excerpt, changed, shown=frozenset(), spans=spans)
        if other:
            return again([other])[0]
        parts: list[Part] = [excerpt.text]
        if excerpt.kept and writer.protect:
            parts = list(writer.around(excerpt, cut))
        elif self.rounds < _ROUNDS and (halves := excerpt.halves()):
            parts = writer.joined(halves, cut)
        return put_together(parts, again)

    def _bracketed(self, again: Again) -> list[str]:
        """The versions made of the stretches around brackets and in them."""
        if self.rounds >= _ROUNDS:
            return []
        cut = replace(self, rounds=self.rounds + 1)
        return put_together(list(self.writer.at_brackets(self.excerpt, cut)), again)

    def _closed(self, text: str, bracketed: str) -> str:
        """The translation, or that of its stretches where this has brackets that it lacks."""
        source, kept, patterns = self.excerpt.text, self.excerpt.kept, self.writer.patterns
        better = lacks_brackets(source, text) and is_faithful(source, bracketed, kept, patterns)
        return bracketed if better and not lacks_brackets(source, bracketed) else text

    def _halved(self, again: Again) -> list[str]:
        """The versions made of the two halves, where these are clauses; else none."""
        if self.rounds >= _ROUNDS or not has_clauses(self.excerpt.text):
            return []
        halves = self.excerpt.halves()
        cut = replace(self, rounds=self.rounds + 1)
        return put_together(self.writer.joined(halves, cut), again) if halves else []

    def _fuller(self, text: str, halved: str) -> str:
        """The translation, or that of its halves where this has a clause that it lacks."""
        if not has_more(text, halved):
            return text
        source, kept = self.excerpt.text, self.excerpt.kept
        halves = self.excerpt.halves()
        stays = halves is not None and (halves[0].text in halved or halves[2].text in halved)
        faithful = is_faithful(source, halved, kept, self.writer.patterns)
        return halved if faithful and not stays else text


@dataclass(frozen=True)
class Writer:
    """Makes segments of sentences.

    A sentence is stripped (the text around it stays), cut where it is longer than the model is
    good at, and masked. Its translation is checked. One that fails is repaired: all numbers
    are masked, then pairs of tags with what they hold; then the stretches between the spans are
    translated separately; then the halves of these, a few times. Each step has less text or more
    masks than the one before, so the work is bounded. What passes nowhere stays as it was.

    Attributes:
        vocabulary: That of sources.
        route: What goes around them.
        room: Tokens that a source may have, special ones included.
        limit: Tokens that a translation may have.
        best: Tokens of a source up to which the model is at its best.
        target_unknown: The token for what the vocabulary of translations lacks; -1 for none.
        patterns: A user's patterns of what may not change.
        protect: Whether translations are checked, and some things may not change.
        truncate: Whether a text that is too long is truncated, and not translated in parts.
        language: The language of the translation, such as ``fr``; None if it is unknown.
    """

    vocabulary: Vocabulary
    route: Route
    room: int
    limit: int
    best: int
    target_unknown: int = -1
    patterns: Sequence[Pattern] = ()
    protect: bool = True
    truncate: bool = False
    language: str | None = None

    @property
    def spaced(self) -> bool:
        """Whether the language of the translation has spaces between words."""
        return self.language not in SPACELESS

    def parts(self, text: str) -> list[Part]:
        """The parts of one sentence."""
        before, excerpt, behind = self._excerpt(text).peeled(quotes=self.protect)
        shown = visible(excerpt.text, excerpt.kept)
        if shown != excerpt.text:  # numbers and addresses may be others now
            excerpt = self._excerpt(shown)
        if self.truncate:
            ids = self._ids(shown)
            if len(ids) > self.room:
                end = self.route.behind
                return [Sentence((*ids[: self.room - len(end)], *end))]
        parts: list[Part] = [before]
        start = 0
        for span in excerpt.kept:
            if span.kind in APART:
                parts += [*self.pieces(excerpt.cut(start, span.start)), span.text]
                start = span.end
        parts += [*self.pieces(excerpt.cut(start, len(shown))), behind]
        return [part for part in parts if part != ""]

    def pieces(self, excerpt: Excerpt, like: Checked | None = None) -> Iterator[Part]:
        """A stretch as segments that are not too long, and what stays around and between them.

        Args:
            excerpt: The stretch.
            like: A segment that the new ones take the place of.
        """
        rest: list[Excerpt | str] = [excerpt]
        cut = False
        while rest:
            piece = rest.pop()
            if isinstance(piece, str):
                if piece:
                    yield piece
                continue
            before, core, behind = piece.peeled(quotes=True) if self.protect else ("", piece, "")
            rest.append(behind)
            if before:
                yield before
            if not core.has_words():
                rest.append(core.text)
            elif self.protect and (row := core.row()):
                rest += row[::-1]
            elif (segment := self._segment(core, like)) is None:
                halves, cut = core.halves(), True
                rest += self.parted(halves)[::-1] if halves else (core.text,)
            elif self.protect and self._lacks(segment):
                known = self.vocabulary.with_unknown(core)
                rest.append(known if known.kept != core.kept else core.text)
            elif cut and isinstance(segment, Checked | Quoting):
                yield segment.as_part()
            else:
                yield segment

    def checked(
        self,
        excerpt: Excerpt,
        like: Checked | None = None,
        *,
        shown: Collection[str] = _NUMBER,
        spans: Sequence[Span] | None = None,
    ) -> Checked | None:
        """A stretch as a segment that is checked.

        Args:
            excerpt: The stretch.
            like: A segment that the new one takes the place of.
            shown: Kinds of spans that the model sees.
            spans: What is masked in the place of the stretch's own spans.

        Returns:
            The segment; None where there are too many spans to mask.
        """
        capitals = (like is not None and like.capitals) or excerpt.is_in_capitals()

        def write(text: str) -> str:
            text = self.vocabulary.folded(text)
            return _PRONOUN.sub("I", text.lower()) if capitals else text

        made = masked(excerpt.text, excerpt.kept if spans is None else spans, write, shown=shown)
        if made is None:
            return None
        source = made.source[:1].upper() + made.source[1:] if capitals else made.source
        rounds, elements = (like.rounds, like.elements) if like else (0, False)
        return Checked(self._ids(source), excerpt, made, self, capitals, rounds, elements)

    def around(self, excerpt: Excerpt, like: Checked) -> Iterator[Part]:
        """A stretch cut at its spans."""
        for (start, end), span in zip_longest(excerpt.between(), excerpt.kept):
            text = excerpt.text[start:end]
            core = _CORE.search(text)
            if core and any(map(str.isalpha, core[0])):
                yield text[: core.start()]
                yield from self.pieces(Excerpt(core[0]), like)
                text = text[core.end() :]
            yield text
            if span:
                yield span.text

    def at_brackets(self, excerpt: Excerpt, like: Checked) -> Iterator[Part]:
        """A stretch cut at its brackets."""
        for part in excerpt.at_brackets():
            if isinstance(part, str):
                yield part
            else:
                yield from self.pieces(part, like)

    def joined(self, halves: tuple[Excerpt, str, Excerpt], like: Checked) -> list[Part]:
        """The parts of two halves, and what is between them."""
        left, between, right = self.parted(halves)
        return [*self.pieces(left, like), between, *self.pieces(right, like)]

    def parted(self, halves: tuple[Excerpt, str, Excerpt]) -> tuple[Excerpt, str, Excerpt]:
        """Halves with a space between them, if their scripts have none and the target's has."""
        left, between, right = halves
        touch = left.text[-1] + right.text[0]
        apart = any(letter.isalnum() and not is_spaced(letter) for letter in touch)
        return left, between or " " * (self.spaced and apart), right

    def elements(self, excerpt: Excerpt, like: Checked, again: Again) -> list[Span]:
        """The spans of a stretch, each pair of tags and what it holds as one span that is
        translated already; empty if there is no pair.
        """
        found: list[Span] = []
        paired = False
        last = 0
        for first, end in excerpt.pairs():
            opening, closing = excerpt.kept[first], excerpt.kept[end]
            inner = self.pieces(excerpt.cut(opening.end, closing.start), like)
            text = put_together([opening.text, *inner, closing.text], again)[0]
            found += excerpt.kept[last:first]
            found.append(Span(opening.start, closing.end, text, "joined"))
            last, paired = end + 1, True
        return [*found, *excerpt.kept[last:]] if paired else []

    def _excerpt(self, text: str) -> Excerpt:
        excerpt = Excerpt(text, tuple(spans(text, self.patterns)) if self.protect else ())
        if not self.protect or excerpt.is_in_capitals():
            return excerpt
        spelled = self.vocabulary.spelled(text)
        return Excerpt(text, tuple(united(text, [*excerpt.kept, *spelled]))) if spelled else excerpt

    def _segment(self, core: Excerpt, like: Checked | None) -> Segment | None:
        """A stretch as a segment, if it is not too long for the model."""
        made = self.checked(core, like)
        if made is None or len(made.ids) > min(self.room, self.best):
            return None
        if self.protect:
            return self._quoting(core, like, made) or made
        return made if 2 * len(made.ids) > self.limit else Sentence(made.ids)

    def _quoting(self, core: Excerpt, like: Checked | None, whole: Checked) -> Quoting | None:
        """A stretch with masked quotations, if it has some."""
        places = core.quotations() if like is None or like.rounds < _ROUNDS else []
        own = [Span(start, end, core.text[start:end], "joined") for start, end in places]
        made = self.checked(core, like, spans=beside(core, own)) if own else None
        return Quoting(made.ids, made, whole, tuple(places)) if made else None

    def _lacks(self, segment: Segment) -> bool:
        """Whether the vocabulary lacks a character of a segment, also of its quotations."""
        whole = segment.whole if isinstance(segment, Quoting) else segment
        return self.vocabulary.lacks(whole.ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        route = self.route
        return (*route.before, *self.vocabulary.ids(route.prefix + text), *route.behind)

"""Sentences in the model: masked, translated, checked, and repaired if necessary."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

from nlplug.families.seq2seq import Again, Part, Segment
from nlplug.text.language_codes import SPACELESS
from nlplug_translation.checked import ROUNDS, Checked
from nlplug_translation.excerpt import Excerpt
from nlplug_translation.invisible import visible
from nlplug_translation.joining import put_together
from nlplug_translation.languages import Route
from nlplug_translation.masks import masked
from nlplug_translation.protected import APART, Pattern, Span, spans, united
from nlplug_translation.sentences import is_spaced
from nlplug_translation.vocabulary import Vocabulary

_NUMBER = frozenset({"number"})
_PRONOUN = re.compile(r"\bi\b")
_CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)


@dataclass(frozen=True)
class Sentence(Segment):
    """A source whose translation is taken as it comes."""

    trims: ClassVar[bool] = True


@dataclass(frozen=True)
class Writer:
    """Makes segments of sentences.

    A sentence is stripped (the text around it stays), cut where it is longer than the model is
    good at, and masked, its quotations too, which are translated by themselves. Its translation is
    checked. One that fails is repaired: all numbers are masked, then pairs of tags with what they
    hold, each time with all that was masked before; then the sentence is tried with its quotations;
    then the stretches between the spans are translated separately; then the halves of these, a few
    times. Each step has less text or more masks than the one before, so the work is bounded. What
    passes nowhere stays as it was.

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
        if not any(isinstance(part, Segment) for part in parts):
            return [text]  # without the spaces that a translation would need
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
            elif self.protect and self.vocabulary.lacks(segment.ids):
                known = self.vocabulary.with_unknown(core)
                rest.append(known if known.kept != core.kept else core.text)
            elif isinstance(segment, Checked):
                segment = self._quoting(segment, like) or segment
                yield segment.as_part() if cut else segment
            else:
                yield segment

    def checked(
        self,
        excerpt: Excerpt,
        like: Checked | None = None,
        *,
        shown: Collection[str] = _NUMBER,
        hidden: Sequence[Span] = (),
    ) -> Checked | None:
        """A stretch as a segment that is checked.

        Args:
            excerpt: The stretch.
            like: A segment that the new one takes the place of.
            shown: Kinds of spans that the model sees.
            hidden: What is masked as a whole; see `Checked`.

        Returns:
            The segment; None where there are too many spans to mask.
        """
        capitals = (like is not None and like.capitals) or excerpt.is_in_capitals()

        def write(text: str) -> str:
            text = self.vocabulary.folded(text)
            return _PRONOUN.sub("I", text.lower()) if capitals else text

        made = masked(excerpt.text, excerpt.hiding(hidden).kept, write, shown=shown)
        if made is None:
            return None
        source = made.source[:1].upper() + made.source[1:] if capitals else made.source
        rounds, elements = (like.rounds, like.elements) if like else (0, False)
        ids = self._ids(source)
        return Checked(ids, excerpt, made, self, capitals, rounds, elements, tuple(hidden))

    def around(self, excerpt: Excerpt, like: Checked) -> Iterator[Part]:
        """A stretch cut at its spans."""
        for (start, end), span in zip_longest(excerpt.between(), excerpt.kept):
            text = excerpt.text[start:end]
            first, last = _core(text)
            if any(map(str.isalpha, text[first:last])):
                yield text[:first]
                yield from self.pieces(Excerpt(text[first:last]), like)
                text = text[last:]
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
        left, right = [list(self.pieces(half, like)) for half in halves[::2]]
        written = any(isinstance(part, Segment) for part in [*left, *right])
        return [*left, self.parted(halves)[1] if written else halves[1], *right]

    def parted(self, halves: tuple[Excerpt, str, Excerpt]) -> tuple[Excerpt, str, Excerpt]:
        """Halves with a space between them, if their scripts have none and the target's has."""
        left, between, right = halves
        touch = left.text[-1] + right.text[0]
        apart = any(letter.isalnum() and not is_spaced(letter) for letter in touch)
        return left, between or " " * (self.spaced and apart), right

    def elements(self, excerpt: Excerpt, like: Checked, again: Again) -> list[Span]:
        """The pairs of tags of a stretch, each with what it holds as one span that is translated
        already.
        """
        found: list[Span] = []
        for first, end in excerpt.pairs():
            opening, closing = excerpt.kept[first], excerpt.kept[end]
            inner = self.pieces(excerpt.cut(opening.end, closing.start), like)
            text = put_together([opening.text, *inner, closing.text], again)[0]
            found.append(Span(opening.start, closing.end, text, "joined"))
        return found

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
        return made if self.protect or 2 * len(made.ids) > self.limit else Sentence(made.ids)

    def _quoting(self, whole: Checked, like: Checked | None) -> Checked | None:
        """A stretch with masked quotations, if it has some."""
        cuts = self.protect and (like is None or like.rounds < ROUNDS)
        hidden = whole.excerpt.quotations() if cuts else []
        return self.checked(whole.excerpt, like, hidden=hidden) if hidden else None

    def _ids(self, text: str) -> tuple[int, ...]:
        route = self.route
        return (*route.before, *self.vocabulary.ids(route.prefix + text), *route.behind)


def _core(text: str) -> tuple[int, int]:
    """Where the words of a text begin and end, with the brackets that belong to them."""
    found = _CORE.search(text)
    if found is None:
        return 0, 0
    first, last = found.span()
    opened = text.count("(", first, last) - text.count(")", first, last)
    while opened > 0 and text[last : last + 1] == ")":
        last, opened = last + 1, opened - 1
    while opened < 0 < first and text[first - 1] == "(":
        first, opened = first - 1, opened + 1
    return first, last

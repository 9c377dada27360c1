"""A stretch whose translation is checked, and repaired if the check fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from nlplug.families.seq2seq import Again, Part, Segment, Written
from nlplug_translation.checks import (
    QUOTES,
    has_fitting_length,
    has_more,
    has_moved_number,
    has_quotations,
    is_brief,
    is_faithful,
    lost_marks,
    with_final_marks,
    without_repeats,
)
from nlplug_translation.excerpt import Excerpt, outermost
from nlplug_translation.joining import put_together, version
from nlplug_translation.masks import MaskedText
from nlplug_translation.protected import Pattern, Span
from nlplug_translation.sentences import has_clauses

_STOPS = ".!?…。！？"
# What may follow them in the same sentence.
_CLOSERS = "\"'”’»›)] "
ROUNDS = 5
"""How often a stretch is cut before its source stays as it is."""


class SegmentWriter(Protocol):
    """What makes the segments in the place of one that fails; see `segments.Writer`."""

    @property
    def limit(self) -> int: ...
    @property
    def target_unknown(self) -> int: ...
    @property
    def patterns(self) -> Sequence[Pattern]: ...
    @property
    def protect(self) -> bool: ...
    @property
    def language(self) -> str | None: ...

    def checked(
        self,
        excerpt: Excerpt,
        like: Checked | None = None,
        *,
        shown: Collection[str] = ...,
        hidden: Sequence[Span] = (),
    ) -> Checked | None: ...
    def pieces(self, excerpt: Excerpt, like: Checked | None = None) -> Iterator[Part]: ...
    def around(self, excerpt: Excerpt, like: Checked) -> Iterator[Part]: ...
    def at_brackets(self, excerpt: Excerpt, like: Checked) -> Iterator[Part]: ...
    def joined(self, halves: tuple[Excerpt, str, Excerpt], like: Checked) -> list[Part]: ...
    def elements(self, excerpt: Excerpt, like: Checked, again: Again) -> list[Span]: ...


@dataclass(frozen=True)
class Checked(Segment):
    """A source whose translation is checked, and repaired if the check fails.

    Attributes:
        excerpt: What is translated.
        masked: As the model sees it.
        writer: Makes the segments that may take this one's place.
        capitals: Whether it is in capitals; the model then gets lower case.
        rounds: How often it has been cut; 0 for a whole sentence.
        elements: Whether each pair of tags is masked with what it holds.
        hidden: What is masked as a whole and translated by itself: quotations (of the kind
            ``quotation`` as long as they are not translated, then ``quoted``), and pairs of tags
            with what they hold (``joined``).
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    excerpt: Excerpt
    masked: MaskedText
    writer: SegmentWriter = field(compare=False)
    capitals: bool = False
    rounds: int = 0
    elements: bool = False
    hidden: tuple[Span, ...] = ()

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations; what does not pass is made of smaller stretches, or is the source.

        A translation that passes is replaced only by one that has all that it has.
        """
        made = self._with_quotations(again)
        texts = [made.passed(one) for one in written]
        mended = made._mended(again) if None in texts else []
        brief = any(
            text is not None and is_brief(len(self.ids), len(one.tokens))
            for text, one in zip(texts, written, strict=True)
        )
        halved = made._halved(again) if brief else []
        lost = {mark for text in texts if text is not None for mark in made._lost(text)}
        marked = made._with_marks(lost, again) if lost else []
        return [
            version(mended, number)
            if text is None
            else made._best(text, version(halved, number), [version(one, number) for one in marked])
            for number, text in enumerate(texts)
        ]

    def accepts(self, written: Written) -> bool:
        """See `Segment.accepts`."""
        return self.passed(written) is not None

    def as_part(self) -> Checked:
        """The same as a part of a sentence."""
        return replace(self, rounds=max(1, self.rounds))

    def passed(self, one: Written) -> str | None:
        """A translation with all that was masked in it; None if it does not pass."""
        writer, source, text = self.writer, self.excerpt.text, one.text
        if one.cut and len(self.ids) <= writer.limit:
            return None
        if not writer.protect:
            return text
        if writer.target_unknown in one.tokens:
            return None
        if source.rstrip(_CLOSERS)[-1:] not in _STOPS:
            text = text.rstrip(_STOPS).rstrip()
        text = with_final_marks(source, text)
        if self.rounds and source[0].islower() and not text[1:2].isupper():
            text = text[:1].lower() + text[1:]
        restored = self.masked.restored(text.upper() if self.capitals else text)
        if restored is None or one.cut:
            return restored  # room for less than the source takes: a part is what the user wants
        if not has_fitting_length(len(self.ids), len(one.tokens)):
            return None
        moved = has_moved_number(source, restored, writer.language)
        if moved or not self._is_faithful(restored):
            return None
        plain = without_repeats(source, restored, writer.language)
        return plain if plain == restored or self._is_faithful(plain) else restored

    def _with_quotations(self, again: Again) -> Checked:
        """The same with the translations of its quotations behind their masks."""
        if not any(span.kind == "quotation" for span in self.hidden):
            return self
        cut = replace(self, rounds=self.rounds + 1)
        found = []
        for span in self.hidden:
            parts = list(self.writer.pieces(self.excerpt.cut(span.start, span.end), cut))
            found.append(Span(span.start, span.end, put_together(parts, again)[0], "quoted"))
        return self.writer.checked(self.excerpt, self, hidden=found) or self

    def _mended(self, again: Again) -> list[str]:
        """The versions made of other segments. Each is smaller, or hides more from the model."""
        writer, excerpt, hidden = self.writer, self.excerpt, self.hidden
        cut = replace(self, rounds=self.rounds + 1)
        other = None
        if self.masked.numbers:
            other = writer.checked(excerpt, self, shown=frozenset(), hidden=hidden)
        elif not self.elements and (pairs := writer.elements(excerpt, cut, again)):
            both = outermost([*hidden, *pairs])
            other = writer.checked(excerpt, replace(self, elements=True), hidden=both)
        if other:
            return again([other])[0]
        texts = self._shown(again) or [""]
        if "" not in texts:
            return texts
        parts: list[Part] = [excerpt.text]
        if (excerpt.kept or hidden) and writer.protect:
            parts = list(writer.around(excerpt.hiding(hidden), cut))
        elif self.rounds < ROUNDS and (halves := excerpt.halves()):
            parts = writer.joined(halves, cut)
        rest = put_together(parts, again)
        count = max(len(texts), len(rest))
        return [version(texts, number) or version(rest, number) for number in range(count)]

    def _shown(self, again: Again) -> list[str]:
        """The versions made with the quotations shown, if these are masked; see `Trial`."""
        quoted = any(span.kind == "quoted" for span in self.hidden)
        shown = self.writer.checked(self.excerpt, self) if quoted else None
        return again([Trial(shown.ids, shown, self.hidden)])[0] if shown else []

    def _with_marks(self, lost: set[str], again: Again) -> list[list[str]]:
        """The versions made of the stretches around brackets and in them, or beside quotations;
        then those made with the quotations shown.

        Args:
            lost: What of `lost_marks` the translation lacks.
            again: See `finished`.
        """
        if self.rounds >= ROUNDS:
            return []
        if lost == {QUOTES}:
            every = self.excerpt.quotations(first=True)
            more = len(every) > sum(span.kind == "quoted" for span in self.hidden)
            other = self.writer.checked(self.excerpt, self, hidden=every) if more else None
            return again([other]) if other else []
        cut = replace(self, rounds=self.rounds + 1)
        stretches = put_together(list(self.writer.at_brackets(self.excerpt, cut)), again)
        return [stretches, self._shown(again)]

    def _halved(self, again: Again) -> list[str]:
        """The versions made of the two halves, where these are clauses; else none."""
        if self.rounds >= ROUNDS or not has_clauses(self.excerpt.text):
            return []
        halves = self.excerpt.halves()
        cut = replace(self, rounds=self.rounds + 1)
        return put_together(self.writer.joined(halves, cut), again) if halves else []

    def _best(self, text: str, halved: str, marked: Sequence[str]) -> str:
        """A translation, or one in its place that has a clause or a mark that it lacks."""
        if has_more(text, halved) and self._is_faithful(halved):
            halves = self.excerpt.halves()
            stays = halves is not None and (halves[0].text in halved or halves[2].text in halved)
            if not stays and self._lost(halved) <= self._lost(text):
                text = halved
        for other in marked:
            if self._lost(other) < self._lost(text) and self._is_faithful(other):
                text = other
        return text

    def _is_faithful(self, text: str) -> bool:
        return is_faithful(self.excerpt.text, text, self.excerpt.kept, self.writer.patterns)

    def _lost(self, text: str) -> Counter[str]:
        return lost_marks(self.excerpt.text, text)


@dataclass(frozen=True)
class Trial(Segment):
    """A sentence with its quotations, where it fails with masks in their place.

    Attributes:
        shown: The sentence.
        quotations: The translations of its quotations.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    shown: Checked
    quotations: tuple[Span, ...]

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations; empty where one does not pass, or has less than the quotations."""
        source = self.shown.excerpt.text
        wanted = [span.text for span in self.quotations if span.kind == "quoted"]
        texts = [self.shown.passed(one) or "" for one in written]
        return [
            text if has_quotations(text, wanted) and not lost_marks(source, text) else ""
            for text in texts
        ]

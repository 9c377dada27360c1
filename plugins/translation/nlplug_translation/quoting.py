"""Sentences with quotations in them, which are translated by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from nlplug.families.seq2seq import Again, Segment, Written
from nlplug_translation.checks import lacks_brackets
from nlplug_translation.excerpt import Excerpt
from nlplug_translation.joining import version
from nlplug_translation.protected import Span


@dataclass(frozen=True)
class Quotable(Segment):
    """A stretch whose translation is checked.

    Attributes:
        excerpt: What is translated.
    """

    excerpt: Excerpt

    def passed(self, one: Written) -> str | None:
        """A translation with all that was masked in it; None if it does not pass."""
        raise NotImplementedError

    def as_part(self) -> Self:
        """The same as a part of a sentence."""
        raise NotImplementedError

    def quoted(self, places: Sequence[tuple[int, int]], again: Again) -> Self | None:
        """The same with the translations of its quotations behind their masks."""
        raise NotImplementedError


@dataclass(frozen=True)
class Quoting(Segment):
    """A sentence in which quotations are masked.

    The first word behind a quotation mark has other tokens than elsewhere, so that models lose it,
    and marks of which one is in another sentence confuse them.

    Attributes:
        hiding: The sentence with masked quotations.
        whole: The sentence as it is, for where the former does not pass the checks.
        places: Of the quotations, with their marks.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    hiding: Quotable
    whole: Quotable
    places: tuple[tuple[int, int], ...]

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The translations with those of the quotations, or those of the whole sentence."""
        made, source = self.hiding.quoted(self.places, again), self.hiding.excerpt
        texts = [made.passed(one) if made else None for one in written]
        texts = [None if text and lacks_brackets(source.text, text) else text for text in texts]
        wholes = again([self.whole])[0] if None in texts else []
        return [
            version(wholes, number) if text is None else text for number, text in enumerate(texts)
        ]

    def as_part(self) -> Quoting:
        """The same as a part of a sentence."""
        return replace(self, hiding=self.hiding.as_part(), whole=self.whole.as_part())


def beside(excerpt: Excerpt, own: Sequence[Span]) -> list[Span]:
    """Some spans, and those of an excerpt that are not in them."""
    kept = [
        span
        for span in excerpt.kept
        if not any(one.start <= span.start and span.end <= one.end for one in own)
    ]
    return sorted([*kept, *own], key=lambda span: span.start)

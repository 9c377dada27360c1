"""Replaces protected parts of a source by numbers, and restores them in the translation."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from nlplug_translation.protected import NUMBERS, Span, mend
from nlplug_translation.sentences import is_spaced

# Models copy numbers of two digits from one language to the other, whatever else they know.
_STAND_INS = (*("30", "20", "50", "40", "25", "35"), *map(str, range(61, 100, 3)))
_BEFORE, _BEHIND = frozenset("$€£¥"), frozenset("$€£¥%")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Mask:
    """A number in a source, and the text that it replaces.

    Attributes:
        number: The number.
        text: The text that replaces it in the translation.
        before: Whether a space was added before it, to part it from a word.
        behind: Whether a space was added behind it.
    """

    number: str
    text: str
    before: bool
    behind: bool


@dataclass(frozen=True)
class MaskedText:
    """A text whose spans are masked.

    Attributes:
        source: The text for the model.
        masks: What its masks stand for, in their order.
        numbers: The numbers that it shows as they are.
    """

    source: str
    masks: tuple[Mask, ...]
    numbers: tuple[str, ...]

    def restored(self, text: str) -> str | None:
        """A translation with all that was masked; None if a number is lost, added or doubled."""
        mended = mend(text, [*self.numbers, *(mask.number for mask in self.masks)])
        if mended is None:
            return None
        masks = {mask.number: mask for mask in self.masks}
        made, done = "", 0
        for match in NUMBERS.finditer(mended):
            if mask := masks.get(match[0]):
                before = made + mended[done : match.start()]
                made = (before.rstrip() if mask.before else before) + mask.text
                done = match.end()
                if mask.behind:
                    done += len(mended) - done - len(mended[done:].lstrip())
        return made + mended[done:]


def masked(
    text: str, kept: Sequence[Span], write: Callable[[str], str], *, shown: Collection[str]
) -> MaskedText | None:
    """A text with its spans masked.

    Args:
        text: The text.
        kept: Its spans.
        write: Converts the text between the spans for the model.
        shown: Kinds of spans that the model sees as they are.

    Returns:
        The masked text; None where there are too many spans to tell them apart.
    """
    groups = list(_groups(kept))
    hidden = sum(span.kind not in shown for span in groups)
    if hidden > len(_STAND_INS):
        return None
    taken = " ".join(_DIGITS.findall(text)) if hidden else ""
    free = iter([number for number in _STAND_INS if number not in taken])
    source, done, masks, numbers = "", 0, [], []
    for span in groups:
        source += write(text[done : span.start])
        done = span.end
        if span.kind in shown:
            source += span.text
            numbers.append(span.text)
            continue
        number = next(free, None)
        if number is None:
            return None
        hidden_text = span.text
        if span.kind == "number":  # its currency belongs to it
            if source[-1:] in _BEFORE:
                source, hidden_text = source[:-1], source[-1:] + hidden_text
            if text[done : done + 1] in _BEHIND:
                hidden_text, done = hidden_text + text[done : done + 1], done + 1
        left, right = source[-1:], text[done : done + 1]
        source += f"{' ' * left.isalnum()}{number}{' ' * right.isalnum()}"
        masks.append(Mask(number, hidden_text, is_spaced(left), is_spaced(right)))
    return MaskedText(source + write(text[done:]), tuple(masks), tuple(numbers))


def _groups(kept: Sequence[Span]) -> Iterator[Span]:
    """The spans; those that touch each other are one, and hidden."""
    start = 0
    for end in range(1, len(kept) + 1):
        if end < len(kept) and kept[end - 1].end == kept[end].start:
            continue
        group = kept[start:end]
        joined = "".join(span.text for span in group)
        kind = group[0].kind if len(group) == 1 else "joined"
        yield Span(group[0].start, group[-1].end, joined, kind)
        start = end

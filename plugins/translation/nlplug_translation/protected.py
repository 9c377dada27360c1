"""What no translation may change: addresses, placeholders, tags, code, emoji and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_BLANK_IN_NUMBER = "\u0020\u00a0\u202f\u2009"
# A number is no part of a word: not the 4 of "A4", nor the 1 of "1st". In scripts without spaces
# words may follow at once.
_LETTER = r"A-Za-z\u00aa-\u024f\u0370-\u052f\u0590-\u06ff_"
_NUMBER = (
    rf"(?:(?<![^\s(])[-+−])?(?<![{_LETTER}\d])(?<![{_LETTER}\d][.,:/'’-])"
    rf"(?:\d{{1,3}}(?:[{_BLANK_IN_NUMBER}'’]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,:/-]\d+)*)"
    rf"(?![{_LETTER}\d])"
)
_HOST = r"(?:[\w-]+\.)+(?:com|org|net|edu|gov|io|dev|info|eu|co\.uk)"
_NO_URL = r"\s\x00-\x1f\x7f-\x9f<>\"`{}|\\^（）。，、；：！？「」『』“”‘’《》【】"
_FORMAT = r"[-+\#0]*\d*(?:\.\d+)?(?:hh?|ll?|[jzLq])?[diouxXeEfFgGcspn@]"
_KINDS = {
    "url": (
        rf"(?:(?:https?|ftps?|file|ssh|git)://|www\.|mailto:)[^{_NO_URL}]+",
        rf"(?<![\w@.]){_HOST}(?:/[^{_NO_URL}]*)?(?![\w@-])",
    ),
    "email": (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",),
    "tag": (
        r"<!--(?s:.{0,2000}?)-->",
        r"</?[A-Za-z][^<>]{0,400}>",
        r"&(?:\#\d{1,7}|\#x[0-9A-Fa-f]{1,6}|[A-Za-z]{2,10});",
    ),
    "code": (r"```(?s:.{0,20000}?)```", r"`[^`\n]{1,200}`"),
    "placeholder": (
        r"\{\{[^{}\n]{0,100}\}\}",
        r"\{%[^\n]{0,100}?%\}",
        r"[$%\#@]?\{ ?[^\s{}]{0,64}(?:, ?[^\s{}]{1,32}){0,3} ?\}",
        r"%\([^()\s]{1,64}\)" + _FORMAT,
        rf"%(?:\d+\$)?{_FORMAT}(?![A-Za-z])",
        r"\$[A-Za-z_]\w*",
        r"\[\[[^\[\]\n]{1,64}\]\]",
    ),
    "emoji": (
        r"[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+",
    ),
    "number": (_NUMBER,),
}
_ALL = re.compile("|".join(f"(?P<{kind}>{'|'.join(forms)})" for kind, forms in _KINDS.items()))
_NUMBERS = re.compile(_NUMBER)
_STOPS_BEHIND = ".,;:!?'’\"*_~"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text that stays as it is.

    Attributes:
        start: Its first character.
        end: Behind its last.
        text: What stands there.
        kind: ``url``, ``email``, ``tag``, ``code``, ``placeholder``, ``emoji`` or ``number``.
    """

    start: int
    end: int
    text: str
    kind: str


def spans(text: str) -> list[Span]:
    """What has to stay, in its order; the spans do not overlap."""
    found = []
    place = 0
    while match := _ALL.search(text, place):
        kind = match.lastgroup or ""
        word = _trimmed(match[0]) if kind == "url" else match[0]
        place = match.start() + max(1, len(word))
        if word:
            found.append(Span(match.start(), match.start() + len(word), word, kind))
    return found


def numbers(text: str) -> list[str]:
    """The numbers of a text, those within addresses and placeholders included."""
    return [match[0] for match in _NUMBERS.finditer(text)]


def mend(text: str, wanted: Sequence[str]) -> str | None:
    """Write the numbers of a translation as they were, where only their form has changed.

    Args:
        text: The translation: ``3,5 millions``.
        wanted: The numbers of what was translated: ``3.5``.

    Returns:
        The translation with just these numbers, in whatever order; None where one is missing, or
        there is one too many.
    """
    places = list(_NUMBERS.finditer(text))
    missing = Counter(wanted)
    missing.subtract(match[0] for match in places)
    lost = list((+missing).elements())
    others = [match for match in places if missing[match[0]] < 0]
    if len(lost) != sum((-missing).values()):
        return None
    changes = {}
    for match in others:
        alike = [number for number in lost if _digits(number) == _digits(match[0])]
        if missing[match[0]] < 0 and alike:
            missing[match[0]] += 1
            lost.remove(alike[0])
            changes[match.start()] = (match.end(), alike[0])
    if lost:
        return None
    for start in sorted(changes, reverse=True):
        end, number = changes[start]
        text = text[:start] + number + text[end:]
    return text if Counter(numbers(text)) == Counter(wanted) else None


def stand_ins(count: int, text: str) -> list[str]:
    """Numbers that a text does not have, to stand for what a model could not write.

    Models copy numbers of two digits from one language to the other, whatever else they know.
    """
    taken = set(re.findall(r"\d+", text))
    free = map(str, (30, 20, 50, 40, 25, 35, *range(61, 100, 3), *range(1003, 10_000, 7)))
    unused = [number for number in free if not any(number in other for other in taken)]
    return unused[:count]


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)


def _trimmed(url: str) -> str:
    """Without the marks behind it that belong to the sentence."""
    while url:
        last = url[-1]
        unopened = last in ")]" and url.count(last) > url.count("(" if last == ")" else "[")
        if not (unopened or last in _STOPS_BEHIND):
            break
        url = url[:-1]
    return url

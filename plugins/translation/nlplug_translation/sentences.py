"""Where sentences end, in any script, and where one that is too long is best cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_CLOSERS = "\"'”’»›)\\]"
# Tried at the first mark of a row alone, and never again with fewer of them: else a row of marks
# takes time by the square of its length.
_WESTERN = re.compile(rf"(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s)")
# These end a sentence whatever follows, with no space behind them.
_OTHERS = re.compile(r"[。！？｡।॥۔؟։።။៕]+[」』）”’》】〉\"')\]]*")
_END = re.compile(rf"(?P<western>{_WESTERN.pattern})|(?P<other>{_OTHERS.pattern})")
_OPENERS = "\"'“‘„«‹([¿¡-–—"

_NEAR = 60

# Abbreviations that something always follows.
_TITLE_WORDS = """
    mr mrs ms dr prof st sr sra srta gen col capt cmdr lt sgt maj rev hon sen rep gov pres messrs
    mm mme mlle dra hr fr frl dott sig ing dipl geb mt ft e.g i.e z.b d.h u.a v.a s.o s.u o.ä
    p.ex c.-à-d vs viz cf resp bzw evtl ggf inkl exkl zzgl bspw al ph.d rer nat phil sc
    incl excl esp
"""
_TITLES = frozenset(_TITLE_WORDS.split())
# Those that only a number makes one: "No. 5", but "No. I am not."
_NUMBERED = """
    no nos nr fig figs p pp vol vols art ch chap sec par ca approx tel ext bd kap abb
    jan feb mar apr jun jul aug sep sept oct nov dec janv févr avr juil okt dez
"""
_BEFORE_NUMBER = frozenset(_NUMBERED.split())
_DOTTED = re.compile(r"(?:\w\.)+\w")
_HOURS = frozenset({"a.m", "p.m"})
# German writes ordinals with a full stop.
_ORDINAL = re.compile(
    r"\A\s+(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November"
    r"|Dezember|Jahrhundert|Auflage|Klasse)"
)
_JOINING = """
    and but or because when while which who that where although so if until
    et mais ou parce quand qui que où und aber oder weil wenn dass y pero porque cuando e ma quando
"""
# From the best places to cut to the worst: between clauses, behind commas, before words that begin
# a clause, between words.
_CUTS = (
    re.compile(r"(?<=[;:])\s+|(?<=[；：])|(?<!\s)\s++(?=[–—]\s)"),
    re.compile(r"(?<=,)\s+|(?<=[，、])"),
    re.compile(rf"(?<!\s)\s++(?=(?:{'|'.join(_JOINING.split())})\s)"),
    re.compile(r"\s+"),
)
# Thai, Lao, Burmese, Khmer, Chinese and Japanese.
_SPACELESS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]"
)


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of one line, as positions in it; between them is white space.

    Args:
        text: Without line ends.
    """
    spans = []
    start = 0
    for end in [*_ends(text), len(text)]:
        first, last = start, end
        while first < last and text[first].isspace():
            first += 1
        while last > first and text[last - 1].isspace():
            last -= 1
        if last > first:
            spans.append((first, last))
        start = end
    return spans


def halve(text: str) -> int:
    """Where to cut a text in two: between clauses if that is near its middle, else worse.

    Returns:
        A place within the text, never inside of what is seen as one character; the length of the
        text if there is no such place.
    """
    middle = len(text) / 2
    for number, cuts in enumerate(_CUTS):
        near = 0.3 if number < len(_CUTS) - 1 else 0.5
        places = [found.end() for found in cuts.finditer(text)]
        places = [
            place
            for place in places
            if abs(place - middle) < near * len(text) and not _joined(text, place)
        ]
        if places:
            return min(places, key=lambda place: abs(place - middle))
    place = (len(text) + 1) // 2
    while place < len(text) and _joined(text, place):
        place += 1
    return place


def has_clauses(text: str) -> bool:
    """Whether a sentence has places to cut between clauses."""
    return any(cuts.search(text) for cuts in _CUTS[:-1])


def is_spaced(letter: str) -> bool:
    """Whether a character belongs to a word of a script that has spaces between words."""
    return letter.isalnum() and _SPACELESS.match(letter) is None


def _ends(text: str) -> Iterator[int]:
    for found in _END.finditer(text):
        if found["other"] or _ends_here(text, found):
            yield found.end()


def _ends_here(text: str, found: re.Match[str]) -> bool:
    # Looked at closely: a line may be as long as a book.
    rest = text[found.end() : found.end() + _NEAR]
    letter = rest.lstrip().lstrip(_OPENERS)[:1]
    if not letter or letter.islower():
        return False
    if found[0].rstrip("\"'”’»›)]") != ".":
        return True
    word = text[max(0, found.start() - _NEAR) : found.start()].rsplit(None, 1)[-1:]
    stem = word[0].lstrip("\"'“‘„«‹([") if word else ""
    return not _abbreviates(stem, rest, letter)


def _abbreviates(stem: str, rest: str, letter: str) -> bool:
    """Whether the full stop after a word belongs to it."""
    plain = stem.lower()
    if plain in _HOURS:
        return False
    if plain in _TITLES or (plain in _BEFORE_NUMBER and letter.isdigit()):
        return True
    if len(stem) == 1 and stem.isupper():  # an initial; "I" is a word
        return stem != "I"
    if stem.isdigit():
        return len(stem) <= 2 and _ORDINAL.match(rest) is not None
    return _DOTTED.fullmatch(stem) is not None


def _joined(text: str, place: int) -> bool:
    """Whether the characters at both sides of a place are seen as one."""
    before, after = text[place - 1], text[place]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in ("Mn", "Mc", "Me")
        or "\u200d" in (before, after)
        or "\ufe00" <= after <= "\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")
    )

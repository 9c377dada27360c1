"""In which language a text is, and whether that is one of some known languages.

Letters of another script decide first. Between languages of one script py3langid decides, a naive
Bayes classifier over byte n-grams. Names, numbers, code, URLs and tags are left out, and a
difference in score that is too small decides nothing, so a short text is rather taken for known.
A language in the letters of another, such as Hindi in Latin letters, is none of the classifier's:
such a text is unlikely in each language, and the best of them is no name for it.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.util import find_spec

from nlplug.errors import MissingExtra
from nlplug.runtime.shared import Lazy
from nlplug.text.identifier import PACKAGE, load_rank
from nlplug.text.language_codes import base

_RANK = Lazy(load_rank)
_SAMPLE = 240
"""Number of characters that are inspected: half from the beginning, half from the middle."""
OTHER = "another language"
"""What a text is in that is neither in a known language nor clearly in one of the others."""
_MARGIN, _LONGER_MARGIN = 20.0, 12.0
"""Least difference in log-likelihood between another language and the best known one; the second
number from 8 words on. What the text is less likely in the known one than texts in it are counts
too, from the third number on."""
_LEAST_MARGIN = 8.0
_LONGER = 8
_OTHERS = 5
_USUAL = -5.4
"""Log-likelihood per byte in the known language that 98 % of its texts reach."""
_NAMED, _ALONE = -5.0, 30.0
"""Log-likelihood per byte from which a language is named, or its difference from the fifth best:
of random words of 27 languages 99 % are named, of Hindi and others in Latin letters 25 %."""
_WORDS = 8
"""Number of words that are compared, from the beginning and from the end of the sample each."""
_FEWEST_WORDS = 3
_ENOUGH_WORDS = 5
"""Words in Latin letters that are a text, and no names, to a model of another script."""
_FEWEST_LETTERS = 2
_SHARE = 0.5
"""Share of letters in other scripts from which a text is foreign."""
_KANA_SHARE = 0.15
"""Share of kana from which a text of Chinese characters is Japanese."""
_PLAIN_SHARE, _BORROWED_SHARE = 0.3, 0.4
"""Share of frequent words from which a text is in their language without closer inspection; the
second number for a text with letters outside ASCII, as in "the crème brûlée was divine"."""

# Start of each range of code points, and its script; other ranges have no script of a language.
_RANGES = """
41 Latin|5b|61 Latin|7b|aa Latin|250|370 Greek|400 Cyrillic|530 Armenian|590 Hebrew|600 Arabic|700|
750 Arabic|780|8a0 Arabic|900 Devanagari|980 Bengali|a00 Gurmukhi|a80 Gujarati|b00 Odia|b80 Tamil|
c00 Telugu|c80 Kannada|d00 Malayalam|d80 Sinhala|e00 Thai|e80 Lao|f00 Tibetan|1000 Burmese|
10a0 Georgian|1100 Hangul|1200 Ethiopic|13a0|1780 Khmer|1800|1c80 Cyrillic|1c90 Georgian|1cc0|
1e00 Latin|1f00 Greek|2000|2d00 Georgian|2d30|2de0 Cyrillic|2e00|3040 Kana|3100|3400 Han|4dc0|
4e00 Han|a000|a640 Cyrillic|a6a0|ac00 Hangul|d7b0|f900 Han|fb00 Latin|fb13|fb1d Hebrew|fb50 Arabic|
fe00|fe70 Arabic|fefe|ff21 Latin|ff3b|ff41 Latin|ff5b|ff66 Kana|ffa0|20000 Han|32000
"""
_STARTS, _SCRIPTS = zip(
    *(
        (int(entry.split()[0], 16), (*entry.split(), "")[1])
        for entry in _RANGES.replace("\n", "").split("|")
    ),
    strict=True,
)
# The scripts of languages that are not, or not only, written in Latin letters.
_WRITTEN = """
Cyrillic be bg kk ky mk mn ru tg tt uk ba|Arabic ar fa ps sd ug ur|Hebrew he yi|Greek el|
Devanagari hi mr ne sa|Bengali as bn|Gurmukhi pa|Gujarati gu|Odia or|Tamil ta|Telugu te|Kannada kn|
Malayalam ml|Sinhala si|Thai th|Lao lo|Tibetan bo dz|Burmese my|Georgian ka|Ethiopic am ti|
Khmer km|Han zh ja ko|Kana ja|Hangul ko|Armenian hy|Cyrillic Latin sr uz az|Arabic Latin ku
"""
_NAMES = frozenset(_SCRIPTS)
_OF_LANGUAGE: dict[str, set[str]] = {}
for _entry in _WRITTEN.replace("\n", "").split("|"):
    _own = {word for word in _entry.split() if word in _NAMES}
    for _code in set(_entry.split()) - _own:
        _OF_LANGUAGE.setdefault(_code, set()).update(_own)

# Varieties that the classifier also has, and wrongly finds in short texts.
_VARIETIES = """
zxx pcm la ext gcf gcr guw hbo grc gug kab wa ltg lij vec an ary arz uzs sdh wuu yue
"""
_RARE = frozenset(_VARIETIES.split())
# Frequent words, few of which another common language has: such a text need not be classified.
_ENGLISH = """
the and that this with was were you your they their there which would could should what when where
who how been from not but she because than these those about very don't it's i'm didn't isn't
doesn't can't i've you're that's know want will has had have his him said did does here like think
it is to of he my at as can get out up our us only more some than any much many
"""
_FREQUENT = {"en": frozenset(_ENGLISH.split())}
_WORD = re.compile(r"""["'“”‘’«»(¿¡\[*]*+([^\W\d_]++(?:['’\-.][^\W\d_]++)*+)['’.,;:!?…)"”»\]*]*+""")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
# A Chinese character or kana, or a word of other letters.
_PARTS = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W\\d_\u3040-\u30ff\u3400-\u9fff]+")


def is_available() -> bool:
    """Whether languages of one script can be distinguished: whether py3langid is installed."""
    return sys.modules.get(PACKAGE) is not None or find_spec(PACKAGE) is not None


def ranked(text: str) -> list[tuple[str, float]]:
    """The languages of the classifier with their log-likelihoods, best first.

    Raises:
        MissingExtra: py3langid is not installed.
    """
    if not is_available():
        raise MissingExtra(
            f"The package {PACKAGE!r}, which detects the language of a text, is not installed.",
            hint=f"pip install {PACKAGE}",
        )
    return _RANK.get()(text)


def guess(text: str, known: Iterable[str]) -> str | None:
    """Which of the known languages a text is in; None where it has hardly a letter.

    Raises:
        MissingExtra: py3langid is not installed.
    """
    if sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
        return None
    own: dict[str | None, str] = {}
    for code in known:
        own.setdefault(base(code), code)
    return next((own[name] for name, _ in ranked(text[:2000]) if name in own), None)


def foreign_language(text: str, known: Collection[str]) -> str | None:
    """The language of a text that is in none of the known ones, or its script; else None.

    Args:
        text: Any text; at most 240 of its characters are inspected.
        known: Codes of languages, such as ``en`` or ``fra_Latn``. If one of them is no code of a
            language, as in ``multilingual``, all texts are taken for known.

    Returns:
        A code such as ``fr``; or the name of a script such as ``Cyrillic`` if the text is too short
        to tell its language, or if py3langid is not installed; or ``another language``.
    """
    own = known_languages(tuple(known))
    if not own:
        return None
    sample = sample_of(text)
    script = None if sample.isascii() and "Latin" in _scripts(own) else _foreign_script(sample, own)
    # Names, code and URLs are in Latin letters in texts of other scripts too.
    latin = script in (None, "Latin")
    words = plain_words(sample) if latin else sample.split()
    if latin and (len(words) < _FEWEST_WORDS or _is_plain(words, own)):
        return None
    compared = " ".join(words[:_WORDS] + words[_WORDS:][-_WORDS:])
    others, mine = _compared(compared, own, script)
    size = len(compared.encode(errors="replace"))
    best = _named(others, size) if others else None
    if script is None:
        if mine is None or not others:
            return None
        gain, lack = others[0][1] - mine, max(0.0, _USUAL * size - mine)
        margin = _LONGER_MARGIN if len(words) >= _LONGER else _MARGIN
        return best if gain >= _LEAST_MARGIN and gain + lack >= margin else None
    if script == "Han":
        return "zh"
    alone = [code for code, scripts in _OF_LANGUAGE.items() if script in scripts]
    clear = len(others) > 1 and others[0][1] - others[1][1] > _MARGIN / 2
    found = alone[0] if len(alone) == 1 else best if clear else None
    if script == "Latin":
        return found or (best if len(words) >= _ENOUGH_WORDS else None)
    return found or script


def script_share(text: str, known: Collection[str]) -> float:
    """The share of a text that is in the scripts of some languages, from 0 to 1.

    A Chinese character counts as much as a word of letters, so that a few names in Latin letters do
    not make a Chinese sentence English.

    Args:
        text: Any text; at most 240 of its characters are inspected.
        known: Codes of languages; unknown codes have no script.

    Returns:
        The share; 0 for a text without letters.
    """
    mine = _scripts(known_languages(tuple(known))) if known else frozenset()
    scripts = [_script(part[0]) for part in _PARTS.findall(sample_of(text))]
    total = len(scripts) - scripts.count("")
    return sum(script in mine for script in scripts if script) / total if total else 0.0


def _compared(
    text: str, own: frozenset[str], script: str | None
) -> tuple[list[tuple[str, float]], float | None]:
    """The best other languages in a script with their scores, and the best known one's."""
    others: list[tuple[str, float]] = []
    mine = None
    for code, score in ranked(text) if is_available() else ():
        if code in own:
            mine = score if mine is None else mine
        elif code not in _RARE and (script is None or script in _scripts(frozenset((code,)))):
            others.append((code, score))
        if len(others) >= _OTHERS and (mine is not None or script is not None):
            break
    return others, mine


def _named(others: list[tuple[str, float]], size: int) -> str:
    """The best of some languages, if a text is clearly in it."""
    (best, score), last = others[0], others[:_OTHERS][-1][1]
    clear = score >= _NAMED * size or score - last >= _ALONE or len(others) < _OTHERS
    return best if clear else OTHER


def sample_of(text: str) -> str:
    """At most 240 characters of a text: its beginning and its middle, so the time is bounded."""
    if len(text) <= _SAMPLE:
        return text
    half, middle = _SAMPLE // 2, len(text) // 2
    return f"{text[:half]} {text[middle : middle + half]}"


def plain_words(text: str) -> list[str]:
    """The words of a text without names, numbers, code, URLs, e-mail addresses and tags.

    Capitalized words are left out too, as they may be names.
    """
    found = [match[1] for match in map(_WORD.fullmatch, text.split()) if match]
    upper = [word.lower() for word in found if word.isupper() and len(word) > 1]
    if len(upper) == len(found):
        return upper
    return [word for word in found if len(word) > 1 and not word[0].isupper()]


@lru_cache(maxsize=256)
def known_languages(known: tuple[str, ...]) -> frozenset[str]:
    """The short codes of some languages; empty if one of them is no code of a language."""
    codes = [base(code) for code in known]
    return frozenset(code for code in codes if code is not None and None not in codes)


@lru_cache(maxsize=256)
def _scripts(languages: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(_OF_LANGUAGE.get(code, {"Latin"}) for code in languages))


def _foreign_script(sample: str, own: frozenset[str]) -> str | None:
    """The script of most letters, if no known language is written in it."""
    words = _LETTERS.findall(sample)
    counts = Counter(_script(letter) for word in words for letter in word)
    counts.pop("", None)
    total = counts.total()
    if total < _FEWEST_LETTERS:
        return None
    mine = _scripts(own)
    if counts["Kana"] >= max(_FEWEST_LETTERS, total * _KANA_SHARE) and "Kana" not in mine:
        return "Kana"
    others = {script: count for script, count in counts.items() if script not in mine}
    if sum(others.values()) <= total * _SHARE:
        return None
    return max(others, key=others.__getitem__)


@lru_cache(maxsize=8192)
def _script(letter: str) -> str:
    place = bisect_right(_STARTS, ord(letter)) - 1
    return _SCRIPTS[place] if place >= 0 else ""


def _is_plain(words: list[str], own: frozenset[str]) -> bool:
    """Whether many words are frequent words of a known language, which are all in ASCII."""
    share = _PLAIN_SHARE if all(map(str.isascii, words)) else _BORROWED_SHARE
    least = max(_FEWEST_WORDS, len(words) * share)
    return any(
        sum(word.lower() in _FREQUENT[code] for word in words) >= least
        for code in own & _FREQUENT.keys()
    )

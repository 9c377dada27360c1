"""Finds what no translation may change: addresses, placeholders, tags, code, emoji and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

_BLANK_IN_NUMBER = "\u0020\u00a0\u202f\u2009"
# Letters of scripts that write spaces between words. In other scripts a number may follow a word
# directly and is not part of it.
_LETTER = r"A-Za-z\u00aa-\u024f\u0370-\u052f\u0590-\u06ff_"
_NUMBER = (
    rf"(?:(?<![^\s(])[-+−])?(?<![{_LETTER}\d])(?<![{_LETTER}\d][.,:/'’-])"
    rf"(?>\d{{1,3}}(?:[{_BLANK_IN_NUMBER}'’]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,:/-]\d+)*)"
    rf"(?![{_LETTER}\d])"
)
# A word with a digit: H2O, ABC-1234, v2.3.1, 1st, £11million, -5°C. The letters before the first
# digit are limited, so that a long text without a digit is not read again from each of its letters.
_WORD = (
    rf"(?:(?<![^\s(])[-+−](?=[£€$¥]?\d))?"
    rf"(?<![{_LETTER}\d])(?:[£€$¥](?=\d[\d.,]{{0,20}}[{_LETTER}]))?"
    rf"(?:[{_LETTER}]{{1,40}}(?:[-./+][{_LETTER}]{{1,40}}){{0,3}}[-./+]?)?"
    rf"[\d²³¹⁰-₉][{_LETTER}\d⁰-₉]*(?:[-./:+][{_LETTER}\d]+)*"
)
# Feet, minutes and seconds of arc; inches are found by `_inches`, because a quotation may end so.
_PRIMES = (
    r"(?<![\w.,])\d{1,3}['′’] ?\d{1,2}(?:[.,]\d{1,3})?(?:[\"″”]|''|’’)",
    r"(?<![\w.,])\d{1,3}° ?\d{1,2}['′’](?: ?\d{1,2}(?:[.,]\d{1,4})?(?:[\"″”]|''))?(?: ?[NSEW]\b)?",
    r"(?<![\w.,])\d{1,4}(?:[.,]\d{1,3})?['′](?= ?(?:[x×] ?\d|(?:by|long|tall|wide|high|deep)\b))",
    r"(?:(?<=[x×])|(?<=[x×] ))\d{1,4}(?:[.,]\d{1,3})?['′](?!\w)",
)
_HOUR = r"(?<![\w.,:])\d{1,2}(?:[:.]\d{2})? ?[AaPp]\.[Mm](?:\.(?=[,;:)]|\s+\S)|(?!\w))"
_HOST = r"(?:[\w-]{1,63}\.){1,8}(?:com|org|net|edu|gov|io|dev|info|eu|co\.uk)"
_NO_URL = r"\s\x00-\x1f\x7f-\x9f<>\"`{}|\\^（）。，、；：！？「」『』“”‘’《》【】"
# Forms of names in programs that no text has otherwise: std::vector, max_length, getName, print().
_FILE = (
    r"md|txt|rst|pdf|docx?|xlsx?|pptx?|csv|tsv|jsonl?|ya?ml|toml|ini|cfg|conf|log|xml|html?|css|js"
    r"|ts|py|ipynb|java|cpp|hpp|rs|go|rb|php|sql|sh|bat|exe|zip|tar|gz|whl|onnx|png|jpe?g|gif|svg"
)
# ISO 4217, those that are traded most.
_CURRENCIES = (
    "USD|EUR|JPY|GBP|CNY|AUD|CAD|CHF|HKD|SGD|SEK|KRW|NOK|NZD|INR|MXN|TWD|ZAR|BRL|DKK|PLN|THB|ILS"
    "|IDR|CZK|AED|TRY|HUF|RUB|RON|UAH|BTC|ETH"
)
_HEX = r"[0-9A-Fa-f]{1,4}"
_NAMES = (
    rf"(?<![\w:])(?:{_HEX}:){{5,7}}{_HEX}(?![\w:])",
    r"\[(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}\](?::\d{1,5})?",
    r"(?<![\w:])[\w.~]{0,60}(?::{2,}+[\w~]{0,60})+(?:\(\))?",
    r"(?<![\w@.-])(?:~|\.{1,2})?(?:/[\w.@+-]{1,60}){2,}/?(?<![.])",
    r"(?<![\w@./-])(?:~|\.{1,2})/[\w.@+-]{0,60}(?<![.])",
    r"(?<![^\s(\"'])/[A-Za-z][\w-]{0,60}(?![\w/])",
    rf"(?<![\w@./-])\.?[\w-]{{1,60}}(?:\.[\w-]{{1,60}}){{0,4}}\.(?:{_FILE})(?![\w-])",
    r"(?<![^\s(\"'])\.[a-z][\w-]{1,60}(?:[.:\#][a-z][\w-]{1,60}){0,4}(?!\w)",
    r"(?<![\w.])(?:[A-Za-z]\w{0,60}\.){0,4}[A-Za-z]\w{0,60}\(\)",
    r"(?<!\w)_{0,2}[A-Za-z][A-Za-z0-9]{0,60}(?:_[A-Za-z0-9]{1,60}){1,12}(?!\w)",
    r"(?<!\w)[a-z]{2,30}(?:[A-Z][a-z0-9]{1,30}){1,8}(?!\w)",
    r"(?<![\w+])[A-Za-z]\w{0,20}(?:\+[A-Za-z]\w{0,20}){1,4}(?![\w+])",
    r"(?<!\w)[A-Z](?:\+\+|\#)(?![\w+\#])",
    r"\$\([^()\n]{1,100}\)",
    r"[§¶†‡]+",
    r"(?<![\w.])(?:No|Nos|no|nos|Nr)\. ?\d+(?:[.,/-]\d+)*(?![\w])",
    rf"(?<!\w)(?:{_CURRENCIES})(?!\w)",
    # The name of a value in JSON, whose marks may not change.
    r"\"[\w.$@-]{1,60}\":(?=\s*(?:[\"\[{\d-]|true|false|null))",
    # Letters that are spelled, and initials with stops: N.A.S.A.
    r"(?<![\w'’.-])(?:[A-Z](?: [A-Z]){2,60}|[A-Za-z](?: [A-Za-z]){3,60})(?![\w'’-])",
    r"(?<![\w.])(?:[A-Z]\.){2,8}[A-Z](?:\.(?=\s+\S)|(?!\w))",
    # Of a catalogue of messages (gettext), and an empty text.
    r"(?m:^)(?:msgctxt|msgid(?:_plural)?|msgstr(?:\[\d\])?)(?= \")",
    r"(?<![\w\"'])(?:\"\"|'')(?![\w\"'])",
    # Marks that are quoted, such as those that a password may have.
    r"(?<![\w.,;:!?])\"[!\#-/:-@\[-`{-~]{1,10}\"(?!\w)",
    # An abbreviation with its number (HTTP 404), not among other words in capitals.
    r"(?<![\w-])(?<![A-Z\d] )[A-Z]{2,5} \d{1,6}(?:\.\d{1,6}){0,3}(?![\w.-]*\w)(?! [A-Z]{2})",
    r"(?:[-=~]>|<[-=]|[-+*/!=:<>]=|&&|\|\|)=?",
    r"(?<!\S)[=+^|~](?!\S)",
    r"\#{3,}|={3,}|\*{3,}|~{3,}|\+{3,}|\${3,}|\|{3,}|;{2,}",
)
# :-) ;D :'( <3 ^_^ and the like, between blanks.
_FACE = (
    r"(?<!\S)(?:[:;=][-o'’^]{0,2}[)(\]\[DPpOo3/\\|*$@><]{1,5}|[8xX]-[)(DPp]{1,5}|[Xx]D+|<[/\\]?3+"
    r"|[)(\]\[]{1,3}[-o'’^]?[:;=]|\^[_.-]?\^|[-oOT>][_.][-oOT<])(?=[\s.,!?]|$)"
)
_FORMAT = r"[-+\#0]{0,4}\d{0,4}(?:\.\d{1,4})?(?:hh?|ll?|[jzLq])?[diouxXeEfFgGcspn@]"
_KINDS = {
    "url": (
        rf"(?:(?:https?|ftps?|file|ssh|git)://|www\.|mailto:)[^{_NO_URL}]+",
        rf"(?<![\w@.-]){_HOST}(?:/[^{_NO_URL}]*)?(?![\w@-])",
    ),
    "email": (r"(?<![\w.+%~-])[\w.+%~-]++@[\w-]+(?:\.[\w-]+)+",),
    # A path of Windows, whose backslashes are no escapes.
    "path": (r"(?<!\w)[A-Za-z]:\\[^\s\"<>|]*",),
    "break": (
        r"</?(?i:p|br|div|li|[uod]l|d[td]|h[1-6r]|t[rdh]|table|section|option)\b[^<>]{0,400}>",
        r"(?:\\r)?\\n|\\[rt](?![a-z])",
    ),
    "tag": (
        r"<!--(?:[^-<]|-(?!->)|<(?!!--))*+-->",
        r"<(?:/?[A-Za-z]|[%?!][^<>])[^<>]{0,400}>",
        r"&(?:\#\d{1,7}|\#x[0-9A-Fa-f]{1,6}|[A-Za-z]{2,10});",
    ),
    "code": (r"```(?s:.{0,20000}?)```", r"`[^`\n]{1,200}`"),
    "measure": (*_PRIMES, _HOUR),
    "name": _NAMES,
    "placeholder": (
        r"%\([^()\s]{1,64}\)" + _FORMAT,
        rf"%(?:\d{{1,2}}\$)?{_FORMAT}(?![A-Za-z])",
        r"(?<![\w%])%(?:[A-Za-z_]\w*+%?|\d{1,2}(?![\w%]))",
        r"\$[A-Za-z_]\w*+\$?",
        r"\[\[[^\[\]\n]{1,64}\]\]",
        r"\[(?:[^\s\[\]]{2,64}|[A-Z]\w{0,31}(?: [A-Z]\w{0,31}){1,3})\](?!\([^\s()]{1,400}\))",
        r"(?<!%)%{2,3}[A-Za-z_]\w*+%{2,3}",
        r"(?<![\w:]):[A-Za-z_][\w-]*+:?(?![\w:])",
        r"(?<![\w&#/])#[^\W\d]\w*+",
        r"(?<![^\s(\"'])--[A-Za-z][\w-]*+",
        r"(?<![\w@.])@[A-Za-z_]\w*+(?:[./-]\w++)*",
        r"(?<!\w)__[A-Za-z0-9]\w{0,60}?__(?!\w)",
        r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[A-Za-z]{2,20}|[bf0'\"\\])",
        r"%%",
    ),
    "emoji": (
        r"[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+",
        _FACE,
    ),
    "number": (_NUMBER,),
    "word": (_WORD,),
}
_ALL = re.compile("|".join(f"(?P<{kind}>{'|'.join(forms)})" for kind, forms in _KINDS.items()))
NUMBERS = re.compile(_NUMBER)
"""A number, not one within a word."""
_MARKED = re.compile(r'(?:(?<![\w.,])(\d{1,6}(?:[.,]\d{1,3})?))?"|\n')
EMPHASIS = frozenset({"*", "**", "***", "_", "__", "~~"})
"""Marks of Markdown that begin and end with the same text."""
_EMPHASIS = re.compile(
    r"(?<![\w*_~\\])(?P<mark>\*{1,3}|_{1,2}|~~)(?![\s*_~])[^*_~\n]{0,200}(?<![\s*_~\\])(?P=mark)(?![\w*_~])"
)
_BRACES = re.compile(r"[{}\n]")
_STOPS_BEHIND = ".,;:!?'’\"*_~"
_LONGEST_PLAIN, _LONGEST_NESTED = 100, 5000

APART = frozenset({"break", "emoji"})
"""Kinds between sentences: the texts on their two sides are translated separately."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text that stays as it is.

    Attributes:
        start: Its first character.
        end: Behind its last.
        text: Its text, in the source and in the translation.
        kind: ``url``, ``email``, ``path``, ``break`` (a tag or escape that ends a line), ``tag``,
            ``code``, ``name`` (of a program: ``std::vector``), ``placeholder``, ``emoji``,
            ``number``, ``word`` (a word with a digit), ``measure`` (5'11", 5 p.m.), ``custom``
            (of a user's pattern), or ``unknown`` (not in the model's vocabulary).
    """

    start: int
    end: int
    text: str
    kind: str

    @property
    def is_around(self) -> bool:
        """Whether it may stand around a sentence, and not in it: a tag, or an unknown mark."""
        return self.kind == "tag" or (
            self.kind == "unknown" and not any(map(str.isalnum, self.text))
        )


def spans(text: str, patterns: Sequence[Pattern] = ()) -> list[Span]:
    """What has to stay, in its order; the spans do not overlap.

    Args:
        text: Any text.
        patterns: Further patterns to keep, given by the user.
    """
    found = [*_emphasis(text), *_known(text), *_braces(text), *_inches(text)]
    for pattern in patterns:
        found += pattern.spans(text)
    return united(text, found)


def united(text: str, found: Sequence[Span]) -> list[Span]:
    """Spans in their order; those that overlap are one, of the kind of the first and longest."""
    joined: list[Span] = []
    for span in sorted(found, key=lambda span: (span.start, -span.end)):
        if joined and span.start < joined[-1].end:
            first = joined[-1]
            if span.end > first.end:
                joined[-1] = Span(first.start, span.end, text[first.start : span.end], first.kind)
        else:
            joined.append(span)
    return joined


def _known(text: str) -> Iterator[Span]:
    place = 0
    while match := _ALL.search(text, place):
        kind = match.lastgroup or ""
        word = _trimmed(match[0]) if kind in ("url", "path") else match[0]
        place = match.start() + max(1, len(word))
        if word:
            yield Span(match.start(), match.start() + len(word), word, kind)


def _braces(text: str) -> list[Span]:
    """Balanced braces: placeholders, templates, and messages in ICU's form, which nest."""
    found: list[Span] = []
    opened: list[int] = []
    line = 0  # where the current line begins
    for match in _BRACES.finditer(text):
        place = match.start()
        if match[0] == "{":
            opened.append(place)
        elif match[0] == "\n":
            line = place
        elif opened:
            start = opened.pop()
            nested = bool(found) and found[-1].start > start
            plain = place - start <= _LONGEST_PLAIN and start >= line
            if plain or (nested and place - start <= _LONGEST_NESTED):
                while found and found[-1].start > start:
                    found.pop()
                start -= start > 0 and text[start - 1] in "$%#@"
                found.append(Span(start, place + 1, text[start : place + 1], "placeholder"))
    return found


def _inches(text: str) -> Iterator[Span]:
    """Numbers of inches: 27", where the mark does not end a quotation."""
    opened = False
    for match in _MARKED.finditer(text):
        if match[0] == "\n":
            opened = False
        elif match[1] and not opened:
            yield Span(*match.span(), match[0], "measure")
        else:
            opened = not opened


def _emphasis(text: str) -> Iterator[Span]:
    """The marks of Markdown around words: **so**, *so*, _so_ and ~~so~~."""
    for match in _EMPHASIS.finditer(text):
        mark = match["mark"]
        if len(mark) == 2 and mark[0] == "_" and match[0].isidentifier():
            continue  # __NAME__ is a placeholder
        for start in (match.start(), match.end() - len(mark)):
            yield Span(start, start + len(mark), mark, "tag")


class Pattern:
    """A user's regular expression, in the syntax of Rust, whose engine takes linear time.

    It begins and ends at the border of a word or at a mark, and has at most 200 characters and
    32 words and marks.

    Raises:
        ValueError: It is no such expression; the message says why.
    """

    _ENDS = 32
    _LONGEST = 200
    _PIECES = re.compile(r"\w+|\W")

    def __init__(self, expression: str) -> None:
        def compiled(anchored: str) -> SchemaValidator:
            return SchemaValidator(core_schema.str_schema(pattern=anchored))

        try:
            self._any = compiled(expression)
            self._start, self._whole = (
                compiled(f"^(?:{expression})"),
                compiled(f"^(?:{expression})$"),
            )
        except SchemaError as error:
            reason = str(error).strip().rsplit("error: ", 1)[-1]
            raise ValueError(
                f"{expression!r} is not a regular expression of Rust: {reason}"
            ) from error

    def spans(self, text: str) -> list[Span]:
        """The longest matches, from left to right."""
        if not self._any.isinstance_python(text):
            return []
        cuts = [*(match.start() for match in self._PIECES.finditer(text)), len(text)]
        found: list[Span] = []
        for index, start in enumerate(cuts):
            if found and start < found[-1].end:
                continue
            if not self._start.isinstance_python(text[start : start + self._LONGEST]):
                continue
            for end in reversed(cuts[index + 1 : index + 1 + self._ENDS]):
                part = text[start:end]
                if len(part) <= self._LONGEST and self._whole.isinstance_python(part):
                    found.append(Span(start, end, part, "custom"))
                    break
        return found


compiled = lru_cache(maxsize=256)(Pattern)
"""The `Pattern` of an expression, made once."""


def numbers(text: str) -> list[str]:
    """The numbers of a text, those within addresses and placeholders included."""
    return [match[0] for match in NUMBERS.finditer(text)]


def mend(text: str, wanted: Sequence[str]) -> str | None:
    """Write the numbers of a translation as they were, where only their form has changed.

    Args:
        text: The translation: ``3,5 millions``.
        wanted: The numbers of what was translated: ``3.5``.

    Returns:
        The translation with exactly these numbers, in any order; None where one is missing, or
        there is one too many.
    """
    places = list(NUMBERS.finditer(text))
    missing = Counter(wanted)
    missing.subtract(match[0] for match in places)
    lost: dict[str, list[str]] = {}
    for number in (+missing).elements():
        lost.setdefault(digits(number), []).append(number)
    made, done = "", 0
    for match in places:
        alike = lost.get(digits(match[0]))
        if missing[match[0]] < 0 and alike:
            missing[match[0]] += 1
            made += text[done : match.start()] + alike.pop()
            done = match.end()
    text = made + text[done:]
    return text if Counter(numbers(text)) == Counter(wanted) else None


def digits(text: str) -> str:
    """The digits of a text, and characters such as ½ and Ⅳ, in their order."""
    return "".join(char for char in text if char.isnumeric() and not char.isalpha())


def _trimmed(url: str) -> str:
    """A URL without what belongs to the sentence: marks behind it, a bracket that opens there."""
    opened: list[int] = []
    for place, letter in enumerate(url):
        if letter == "[":
            opened.append(place)
        elif letter == "]" and opened:
            opened.pop()
    url = url[: opened[0]] if opened else url
    extra = {")": url.count(")") - url.count("("), "]": url.count("]") - url.count("[")}
    end = len(url)
    while end:
        last = url[end - 1]
        if extra.get(last, 0) > 0:
            extra[last] -= 1
        elif last not in _STOPS_BEHIND:
            break
        end -= 1
    return url[:end]

"""HTML: what of a document is text to translate. Joined, the pieces are the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from html.parser import HTMLParser
from typing import ClassVar

from nlplug.families.seq2seq import Again, Part, Segment, Written


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INLINE = _names(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp "
    "small span strike strong sub sup time tt u var wbr"
)
"""Elements within a sentence. All others are between sentences."""
_KEPT = _names("code kbd math pre samp script style svg template textarea tt var")
"""Elements whose content stays."""
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_TEXTS = ("alt", "title", "placeholder", "aria-label", "aria-description")
"""Attributes that are texts."""
_META = frozenset(("description", "og:title", "og:description", "twitter:title"))
_ATTRIBUTE = re.compile(r"""\s([a-zA-Z:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,31});")
_SPACE = " \t\r\n\f"
_SPACES = re.compile(f"[{_SPACE}]+")
_LIKE_SIGNS = re.compile(r"(?:</?|\{)(x*)")
_LINE_END = re.compile("\n")


@dataclass(frozen=True)
class MarkupPiece:
    """A stretch of a document.

    Attributes:
        text: What stays as it is; or a text to translate, without its tags.
        restore: Puts the tags into the translation, and escapes it; None for what stays.
    """

    text: str
    restore: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Restored(Segment):
    """A segment of a text within a document.

    Attributes:
        inner: The segment.
        restore: See `MarkupPiece`.
    """

    trims: ClassVar[bool] = True
    plain: ClassVar[bool] = False
    inner: Segment
    restore: Callable[[str], str]

    def accepts(self, written: Written) -> bool:
        """See `Segment.accepts`."""
        return self.inner.accepts(written)

    def finished(self, written: Sequence[Written], again: Again) -> list[str]:
        """The versions with their tags."""
        return [self.restore(text) for text in self.inner.finished(written, again)]


def restored(part: Part, restore: Callable[[str], str]) -> Part:
    """A part of the translation of a piece, with its tags."""
    return restore(part) if isinstance(part, str) else Restored(part.ids, part, restore)


def markup_pieces(document: str, language: str | None = None) -> list[MarkupPiece]:
    """Cut a document, or a part of one, into pieces.

    Text between tags is for translation, sentences with their inline elements as a whole, and
    so are attributes that are texts, except those of inline elements. Scripts, styles, comments,
    code and elements with ``translate="no"`` stay.

    Args:
        document: HTML, well-formed or not.
        language: What ``lang`` of the element ``html`` becomes; None: it stays.
    """
    # A name that no text has where a tag could begin.
    sign = "x" * (1 + max((len(match[1]) for match in _LIKE_SIGNS.finditer(document)), default=0))
    cutter = _Cutter(language, sign)
    for kind, name, source, attributes in _Tokens(document).found:
        cutter.take(kind, name, source, attributes)
    return cutter.done()


class _Tokens(HTMLParser):
    """The tokens of a document with their source: (kind, name, source, attributes)."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=False)
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(document))]
        # The parser says nothing of some faults; they belong to the token before them.
        self._starts: list[tuple[int, str, str, Mapping[str, str | None]]] = [(0, "other", "", {})]
        self.feed(document)
        self.close()
        ends = [*(start for start, *_ in self._starts[1:]), len(document)]
        self.found = [
            (kind, name, document[start:end], attributes)
            for (start, kind, name, attributes), end in zip(self._starts, ends, strict=True)
        ]

    def _add(
        self, kind: str, name: str = "", attributes: Sequence[tuple[str, str | None]] = ()
    ) -> None:
        line, column = self.getpos()
        self._starts.append((self._lines[line - 1] + column, kind, name, dict(attributes)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add("start", tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add("whole", tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._add("end", tag)

    def handle_data(self, data: str) -> None:
        self._add("text")

    def handle_entityref(self, name: str) -> None:
        self._add("text")

    def handle_charref(self, name: str) -> None:
        self._add("text")

    def handle_comment(self, data: str) -> None:
        self._add("other")

    def handle_decl(self, decl: str) -> None:
        self._add("other")

    def handle_pi(self, data: str) -> None:
        self._add("other")

    def unknown_decl(self, data: str) -> None:
        self._add("other")


class _Cutter:
    """Collects the pieces of a document, token by token.

    Args:
        language: See `markup_pieces`.
        sign: The name of tags while their text is translated.
    """

    def __init__(self, language: str | None, sign: str) -> None:
        self._language = language
        self._sign = sign
        self._pieces: list[MarkupPiece] = []
        self._text = _Text(self._sign)
        self._keeping: list[str] = []  # the source of an element that stays
        self._kept, self._depth = "", 0

    def take(self, kind: str, name: str, source: str, attributes: Mapping[str, str | None]) -> None:
        """Add a token."""
        if self._depth:
            self._keeping.append(source)
            if name == self._kept:
                self._depth += {"start": 1, "end": -1}.get(kind, 0)
            if not self._depth:
                self._end_kept()
        elif kind == "start" and name not in _VOID and _stays(name, attributes):
            self._kept, self._depth, self._keeping = name, 1, [source]
        elif kind == "text":
            self._text.add(source, _readable(source))
        elif name in _INLINE:
            self._text.add_tag(kind, name, source)
        else:
            self._end_text()
            self._pieces += self._tag(kind, name, source, attributes)

    def done(self) -> list[MarkupPiece]:
        """All pieces, at the end of the document."""
        if self._depth:
            self._end_kept()
        self._end_text()
        return [piece for piece in self._pieces if piece.text]

    def _end_kept(self) -> None:
        source = "".join(self._keeping)
        self._depth = 0
        if self._kept in _INLINE:
            self._text.add_kept(source)
        else:
            self._end_text()
            self._pieces.append(MarkupPiece(source))

    def _end_text(self) -> None:
        self._pieces += self._text.pieces()
        self._text = _Text(self._sign)

    def _tag(
        self, kind: str, name: str, source: str, attributes: Mapping[str, str | None]
    ) -> list[MarkupPiece]:
        """A tag between sentences, with its attributes that are texts."""
        if kind not in ("start", "whole"):
            return [MarkupPiece(source)]
        about = attributes.get("name") or attributes.get("property") or ""
        texts = {*_TEXTS, "content"} if name == "meta" and about.lower() in _META else {*_TEXTS}
        pieces, done = [], 0
        for match in _ATTRIBUTE.finditer(source):
            key, number = match[1].lower(), 2 if match[2] is not None else 3
            value = unescape(match[number])
            if key == "lang" and name == "html" and self._language:
                new = MarkupPiece(self._language)
            elif key in texts and any(map(str.isalpha, value)):
                new = MarkupPiece(value, escape)
            else:
                continue
            pieces += [MarkupPiece(source[done : match.start(number)]), new]
            done = match.end(number)
        return [*pieces, MarkupPiece(source[done:])]


class _Text:
    """A text between tags, with the tags within it as short ones."""

    def __init__(self, sign: str) -> None:
        self._sign = sign
        self._sources: list[str] = []
        self._shown: list[str] = []
        self._places: dict[str, str] = {}
        self._open: list[tuple[str, int]] = []
        self._words = False

    def add(self, source: str, text: str) -> None:
        """Add text."""
        self._sources.append(source)
        self._shown.append(text)
        self._words = self._words or any(map(str.isalpha, text))

    def add_tag(self, kind: str, name: str, source: str) -> None:
        """Add a tag of an inline element; a pair of tags gets the same name."""
        number = len(self._places)
        if kind == "end" and self._open and self._open[-1][0] == name:
            number = self._open.pop()[1]
        elif kind == "start" and name not in _VOID:
            self._open.append((name, number))
        sign = f"<{'/' if kind == 'end' else ''}{self._sign}{number}>"
        self._places[sign] = source
        self._sources.append(source)
        self._shown.append(sign)

    def add_kept(self, source: str) -> None:
        """Add an inline element that stays with its content."""
        sign = f"{{{self._sign}{len(self._places)}}}"
        self._places[sign] = source
        self._sources.append(source)
        self._shown.append(sign)

    def pieces(self) -> list[MarkupPiece]:
        """The text to translate, and the white space around it."""
        source = "".join(self._sources)
        if not self._words:
            return [MarkupPiece(source)]
        start = len(source) - len(source.lstrip(_SPACE))
        end = len(source.rstrip(_SPACE))
        text = _SPACES.sub(" ", "".join(self._shown)).strip(" ")
        return [
            MarkupPiece(source[:start]),
            MarkupPiece(text, self._restore if self._places else str),
            MarkupPiece(source[end:]),
        ]

    def _restore(self, text: str) -> str:
        signs = re.compile(rf"</?{self._sign}\d+>|\{{{self._sign}\d+\}}")
        return signs.sub(lambda match: self._places.get(match[0], match[0]), text)


def _stays(name: str, attributes: Mapping[str, str | None]) -> bool:
    classes = (attributes.get("class") or "").split()
    return name in _KEPT or attributes.get("translate") == "no" or "notranslate" in classes


def _readable(source: str) -> str:
    """Text with characters instead of references to them, except for those of markup."""

    def character(match: re.Match[str]) -> str:
        found = unescape(match[0])
        return match[0] if found in "&<>" else found

    return _REFERENCE.sub(character, source)

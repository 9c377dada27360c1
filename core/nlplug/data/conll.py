"""CoNLL files: a token per line with its tag, a blank line after each sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlplug.data.formats import DataFile
from nlplug.data.lines import LineReader, check_decoded
from nlplug.data.rows import DataRow
from nlplug.data.tags import (
    OUTSIDE,
    TAG_COLUMN,
    TOKEN_COLUMN,
    are_brackets,
    canonical_tags,
    check_brackets,
    check_single,
    is_entity_tag,
    outer_entities,
    spans_of_tags,
    tags_of_spans,
)
from nlplug.data.unusable import Unusable
from nlplug.errors import DataError

_DOCUMENT = "-DOCSTART-"
# A no-break space is part of a token, so not all that Python calls white space divides columns.
_COLUMNS = re.compile(r"[ \t]+")
_UNIVERSAL = 10
"""Columns of CoNLL-U (https://universaldependencies.org/format.html)."""
_UPOS, _XPOS, _HEAD = 3, 4, 6
_LEAST_OF_2012 = 12
"""Columns of CoNLL-2012; each predicate of a sentence adds one before the last."""
_PART, _NUMBER, _WORD, _PARSE, _ENTITY = 1, 2, 3, 5, 10
_INNER = "entities inside other entities are not read"
_NO_TYPE = re.compile(r"[BIEMSLU][-_:]")


@dataclass(frozen=True, slots=True)
class ConllLayout:
    """Which column is which.

    Attributes:
        width: Number of columns.
        token: Index of the column of tokens.
        tag: Index of the column of tags.
        numbered: Whether the first column numbers the tokens of a sentence.
        other: Index of another column of entity tags, which is not read; None if there is none.
        entities: Whether the tags are entity tags.
        wider: Whether lines may have more columns, as in CoNLL-2012.
    """

    width: int
    token: int
    tag: int
    numbered: bool = False
    other: int | None = None
    entities: bool = False
    wider: bool = False

    @property
    def universal(self) -> bool:
        """Whether the file is CoNLL-U, with ranges and empty nodes that are no tokens."""
        return self.numbered and self.width == _UNIVERSAL

    def fits(self, columns: Sequence[str]) -> bool:
        """Whether a line has the columns of the layout."""
        return len(columns) == self.width or (self.wider and len(columns) > self.width)

    def __str__(self) -> str:
        name = "CoNLL-U" if self.universal else "CoNLL-2012" if self.wider else "CoNLL"
        text = f"{name} with the token in column {self.token + 1} and the tag in {self.tag + 1}"
        if self.other is not None:
            text += f" of {self.width} (the entity tags in column {self.other + 1} are not read)"
        return text


def conll_rows(file: DataFile) -> Iterator[DataRow | Unusable]:
    """The sentences of a file, each a row ``{"tokens": [...], "tags": [...]}``.

    The layout is that of the first lines: the tag last (CoNLL-2003), first, or in the one column of
    entity tags; tokens numbered by the first column (GermEval, CoNLL-U, whose UPOS is the tag).
    Entity tags of any scheme (IOB1, BIO, BIOES, BILOU, the brackets of CoNLL-2012) and spelling
    (``B-PER``, ``B_PER``, ``B:PER``, ``PER-B``, ``b-per``) are given as BIO; other tags, such as
    parts of speech, as they are.
    ``-DOCSTART-`` lines are left out, and so are comments: lines that begin with ``#`` before a
    sentence and have another number of columns than the tokens, or no entity tag among such.

    Raises:
        DataError: The columns of the file cannot be recognized; names the columns found.
    """
    lines = LineReader(file)
    layout = _layout(lines.sample, file)
    file.report.format = str(layout) if layout else "CoNLL"
    file.report.unit = "sentences"
    first, seen = 0, False
    parts: list[list[str]] = []
    wrong: DataError | None = None
    for number, line in _with_end(lines):
        columns = _split(line)
        if not columns or columns[0].startswith(_DOCUMENT):
            if layout is not None and (parts or wrong is not None):
                yield _sentence(parts, layout, file, first, wrong)
            parts, wrong = [], None
            continue
        if layout is None or _is_comment(columns, layout, begins=not parts):
            continue
        if not seen and not parts and _is_header(columns):
            file.report.note("the first line names the columns")
            continue
        seen = True
        if layout.universal and not columns[0].isdecimal():
            continue
        first = first if parts or wrong is not None else number
        try:
            check_decoded(line, f"{file.path}:{number}")
            _check_width(columns, layout, f"{file.path}:{number}")
        except DataError as error:
            wrong = wrong or error
        parts.append(columns)


def _with_end(lines: LineReader) -> Iterator[tuple[int, str]]:
    yield from lines
    yield 0, ""


def _sentence(
    parts: list[list[str]], layout: ConllLayout, file: DataFile, first: int, wrong: DataError | None
) -> DataRow | Unusable:
    values = {"tokens": [columns[0] for columns in parts]}
    if wrong is not None:
        return Unusable(first, values, wrong)
    tokens = [columns[layout.token] for columns in parts]
    tags = [columns[layout.tag] for columns in parts]
    try:
        tags, inner = _as_bio(tags, f"{file.path}:{first}")
    except DataError as error:
        return Unusable(first, {"tokens": tokens, "tags": tags}, error)
    if inner and not any(_INNER in note for note in file.report.notes):
        file.report.note(f"{_INNER}, first {inner[0]!r} in the sentence at line {first}")
    return DataRow({"tokens": tokens, "tags": tags}, file.path, first)


def _is_comment(columns: Sequence[str], layout: ConllLayout, *, begins: bool) -> bool:
    if not columns[0].startswith("#"):
        return False
    return (
        layout.numbered
        or layout.wider
        or (
            begins
            and (
                not layout.fits(columns)
                or (layout.entities and canonical_tags([columns[layout.tag]]) is None)
            )
        )
    )


def _is_header(columns: Sequence[str]) -> bool:
    names = [column.lower() for column in columns]
    return all(any(map(form.fullmatch, names)) for form in (TOKEN_COLUMN, TAG_COLUMN))


def _check_width(columns: Sequence[str], layout: ConllLayout, place: str) -> None:
    if layout.fits(columns):
        return
    if len(columns) == 1:
        raise DataError(
            f"{place}: one column, {columns[0]!r}, where a token and its tag belong.",
            hint="A line looks like: London NNP B-LOC (the token first, its tag last, "
            "with spaces or tabs between).",
        )
    raise DataError(
        f"{place}: {len(columns)} columns where the file has {layout.width}.",
        hint="Each line has the same columns, with spaces or tabs between.",
    )


def _split(line: str) -> list[str]:
    line = line.strip(" \t\r\n")
    if not line:
        return []
    if "\t" in line:
        return [column for column in (part.strip() for part in line.split("\t")) if column]
    return _COLUMNS.split(line)


def _as_bio(tags: list[str], place: str) -> tuple[list[str], list[str]]:
    """The tags as BIO where they are entity tags, and the types of the entities inside others."""
    check_single(tags, place)
    found, inner = (outer_entities(tags) if are_brackets(tags) else None) or (None, [])
    found = found or canonical_tags(tags)
    if found is not None:
        return tags_of_spans(spans_of_tags(found), len(found)), inner
    check_brackets(tags, place)
    wrong = next((tag for tag in tags if _NO_TYPE.fullmatch(tag)), None)
    if wrong is not None:
        raise DataError(
            f"{place}: the tag {wrong!r} has no type.",
            hint="Tags are O, B-TYPE and I-TYPE throughout, or bare types throughout.",
        )
    if all(map(str.isdecimal, tags)):
        raise DataError(
            f"{place}: the tags are numbers, such as {tags[0]!r}, and nothing says what they mean.",
            hint="Write the names of the tags, such as B-PER.",
        )
    single = [tag for tag in tags if tag not in (OUTSIDE, OUTSIDE.lower())]
    entities = [tag for tag in single if canonical_tags([tag])]
    if any(map(is_entity_tag, entities)) or (entities and len(single) < len(tags)):
        bad = next((tag for tag in single if canonical_tags([tag]) is None), single[-1])
        raise DataError(
            f"{place}: the tag {bad!r} does not follow the scheme of the others.",
            hint="Tags are O, B-TYPE and I-TYPE throughout, or bare types throughout.",
        )
    return tags, []


def _layout(sample: list[str], file: DataFile) -> ConllLayout | None:
    """The layout by the first lines; None where there is no line of a token.

    Raises:
        DataError: Several layouts are possible.
    """
    rows = [columns for line in sample if (columns := _split(line))]
    rows = [columns for columns in rows if not columns[0].startswith(_DOCUMENT)]
    plain = [columns for columns in rows if not columns[0].startswith("#")] or rows
    plain = plain[_is_header(plain[0]) if plain else 0 :]
    if not plain:
        return None
    if all(_is_glued(cell) for columns in plain for cell in columns):
        raise DataError(
            f"{file.path}: a token and its tag have no blank between, as in {plain[0][0]!r}.",
            hint="A line has one token and its tag, with a space or tab between.",
        )
    if _is_2012(plain):
        return ConllLayout(_LEAST_OF_2012, _WORD, _ENTITY, entities=True, wider=True)
    width = Counter(map(len, plain)).most_common(1)[0][0]
    rows = [columns for columns in plain if len(columns) == width]
    if width == 1:
        return ConllLayout(max(2, width), 0, 1)
    cells = [[columns[index] for columns in rows] for index in range(width)]
    if width > 2 and _numbers(cells[0]):
        return _numbered(cells, file)
    marked = [index for index in range(width) if _is_entities(cells[index])]
    if not marked and outer_entities(cells[-1], cut_off=True) is not None:
        marked = [width - 1]
    if width - 1 in marked:
        return ConllLayout(width, _token(cells, width - 1), width - 1, entities=True)
    if not marked:
        tag_first = width == 2 and _looks_like_tags(cells[0]) and not _looks_like_tags(cells[1])
        return ConllLayout(width, *((1, 0) if tag_first else (0, width - 1)))
    if len(marked) == 1 and (marked[0] or width == 2):
        token = _token(cells, marked[0]) if marked[0] else 1
        return ConllLayout(width, token, marked[0], entities=True)
    raise DataError(
        f"{file.path}: it is not clear which of {width} columns is the token and which the tag.",
        hint=f"Entity tags are in column {', '.join(str(index + 1) for index in marked)}. Write "
        "lines with the token first and its tag last.",
    )


def _token(cells: list[list[str]], tag: int) -> int:
    """The column of tokens before that of tags: the first one, or the one after their numbers where
    the first one names the document of the tokens (CoNLL-2012)."""
    for place in reversed(range(1, tag - 1)):
        if _numbers(cells[place]) and all(map(str.isdecimal, cells[place])):
            numbers = list(map(int, cells[place]))
            goes_on = [index for index in range(1, len(numbers)) if numbers[index]]
            names = cells[0]
            if goes_on and all(names[index] == names[index - 1] for index in goes_on):
                return place + 1
    return 0


def _is_2012(rows: list[list[str]]) -> bool:
    """Whether lines are those of CoNLL-2012 (https://conll.cemantix.org/2012/data.html)."""
    if min(map(len, rows)) < _LEAST_OF_2012:
        return False
    cells = list(zip(*(columns[:_LEAST_OF_2012] for columns in rows), strict=True))
    return (
        all(map(str.isdecimal, cells[_PART]))
        and _numbers(cells[_NUMBER])
        and any("(" in cell for cell in cells[_PARSE])
        and outer_entities(cells[_ENTITY], cut_off=True) is not None
    )


def _numbered(cells: list[list[str]], file: DataFile) -> ConllLayout:
    """The layout of a file whose first column numbers the tokens."""
    width = len(cells)
    if width == _UNIVERSAL and all(head == "_" or head.isdecimal() for head in cells[_HEAD]):
        tag = _XPOS if all(cell == "_" for cell in cells[_UPOS]) else _UPOS
        last = width - 1 if _is_entities(cells[-1]) else None
        return ConllLayout(width, 1, tag, numbered=True, other=last)
    marked = [index for index in range(2, width) if _is_entities(cells[index])]
    if not marked:
        return ConllLayout(width, 1, width - 1, numbered=True)
    # Where there are two, the second holds entities within those of the first (GermEval).
    other = marked[1] if len(marked) > 1 else None
    return ConllLayout(width, 1, marked[0], numbered=True, other=other)


def _is_glued(cell: str) -> bool:
    """Whether a cell is a token and its tag without a blank between: ``Anna/B-PER``."""
    parts = (cell.rpartition(mark) for mark in "/|_")
    return any(token != "" and is_entity_tag(tag) for token, _, tag in parts)


def _numbers(cells: Sequence[str]) -> bool:
    """Whether cells count up from 0 or 1, again and again; ranges of CoNLL-U are left out."""
    counted = [int(cell) for cell in cells if cell.isdecimal()]
    if any(not re.fullmatch(r"\d+([-.]\d+)?", cell) for cell in cells) or not counted:
        return False
    before = counted[0] - 1
    for number in counted:
        if number not in (before + 1, 0, 1):
            return False
        before = number
    return counted[0] in (0, 1)


def _is_entities(cells: Sequence[str]) -> bool:
    """Whether a column holds entity tags, or nothing but ``O``."""
    flat = outer_entities(cells, cut_off=True)
    return (
        (flat is not None and not flat[1])
        or canonical_tags(cells) is not None
        or (OUTSIDE in cells and any(is_entity_tag(cell) for cell in cells if cell != OUTSIDE))
    )


def _looks_like_tags(cells: Sequence[str]) -> bool:
    """Whether cells look like parts of speech: capital letters and marks."""
    return all(re.fullmatch(r"[A-Z]+[A-Z0-9$]*|\W+", cell) for cell in cells)

"""CoNLL files: a token a line with its tag in the last column, a blank line after each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlplug.data.tags import is_entity_tag, spans_of_tags, tags_of_spans
from nlplug.errors import DataError

_DOCUMENT = "-DOCSTART-"
# A no-break space is part of a token, so not all that Python calls white space divides columns.
_COLUMNS = re.compile(r"[ \t]+")

Sentence = tuple[int, list[str], list[str]]
"""Line of the first token, tokens, tags."""


def sentences(lines: Iterable[tuple[int, str]], path: Path) -> Iterator[Sentence]:
    """The sentences of numbered lines.

    Entity tags of whatever scheme (IOB1, BIO, BIOES, BILOU) are given as BIO; other tags, such as
    parts of speech, as they stand. ``-DOCSTART-`` lines are left out, and so are comments
    (``# …`` before a sentence, with nothing like a tag at the end).

    Raises:
        DataError: A line of one column; names file and line.
    """
    first = 0
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in lines:
        columns = _split(line)
        if not columns or columns[0] == _DOCUMENT:
            if tokens:
                yield first, tokens, _as_bio(tags)
                tokens, tags = [], []
            continue
        if not tokens:
            if columns[0].startswith("#") and len(columns) > 1 and not is_entity_tag(columns[-1]):
                continue
            first = number
        if len(columns) < 2:
            raise DataError(
                f"{path}:{number}: one column, {columns[0]!r}, where a token and its tag belong.",
                hint="A line looks like: London NNP B-LOC (the token first, its tag last, "
                "with spaces or tabs between).",
            )
        tokens.append(columns[0])
        tags.append(columns[-1])
    if tokens:
        yield first, tokens, _as_bio(tags)


def _split(line: str) -> list[str]:
    line = line.strip(" \t\r\n")
    if not line:
        return []
    if "\t" in line:
        return [column for column in (part.strip() for part in line.split("\t")) if column]
    return _COLUMNS.split(line)


def _as_bio(tags: list[str]) -> list[str]:
    if not all(is_entity_tag(tag) for tag in tags):
        return tags
    return tags_of_spans(spans_of_tags(tags), len(tags))

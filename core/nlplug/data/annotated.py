"""Texts with labelled character spans, from whichever form a row of token labels has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nlplug.data.rows import DataRow, first_column
from nlplug.data.tags import (
    OUTSIDE,
    Span,
    canonical_tags,
    check_brackets,
    check_single,
    is_entity_tag,
    spans_of_tags,
)
from nlplug.errors import DataError

TAG_COLUMNS = ("ner_tags", "labels", "tags")
SPAN_COLUMNS = ("entities", "spans", "label", "labels")
"""Of a text with spans; doccano writes them to ``label``."""
LABEL_SET = "label_set"
"""Column of the types that the row's source annotates, where it leaves some out."""
_ROLES, _BEGUN = frozenset("BIMESLU"), frozenset("BI")
_SPAN_LABELS = ("label", "entity_group", "type")


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text with its annotations.

    Attributes:
        text: The text.
        spans: First character, the one after the last, label; in order, none overlapping another.
        label_set: The labels that were looked for; None for all. What is not marked may still be
            of a label that is not in it.
        words: The tokens of the row, whose text `join` makes; empty if the row has a text.
        tags: The tag of each word.
    """

    text: str
    spans: tuple[Span, ...]
    label_set: frozenset[str] | None = None
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def tokens_column(row: DataRow) -> bool:
    """Whether the row has tokens, rather than a text with spans."""
    return "tokens" in row.values


def text_of(row: DataRow, text_column: str = "text") -> str:
    """The text of a row, or that of its tokens; annotations are not read.

    Raises:
        DataError: The row has neither; names file and line.
    """
    if text_column in row.values or not tokens_column(row):
        return row.text(text_column)
    return join([str(token).strip() for token in _list(row, "tokens")])[0]


def annotated(
    row: DataRow,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    names: Sequence[str] = (),
    plain: bool = False,
) -> AnnotatedText:
    """Read a row: tokens with a tag each, or a text with spans.

    ``{"tokens": [...], "tags": ["B-LOC", ...]}`` (also ``ner_tags`` or ``labels``; names or, with
    ``names``, ids) is joined to a text. ``{"text": "...", "entities": [{"start": 0, "end": 6,
    "label": "LOC"}]}`` (also ``spans``; also ``[0, 6, "LOC"]``) is taken as it is, without the
    white space at the edges of a span.

    Args:
        row: The row.
        text_column: Column of the text, in the second form.
        label_column: Column of tags or spans, where it is none of the usual ones.
        names: Tags by id.
        plain: Tags are labels of single tokens (parts of speech), not of entities.

    Raises:
        DataError: The row has neither form, or its parts do not fit; names file and line.
    """
    label_set = _label_set(row)
    if tokens_column(row):
        tokens, tags = tagged_tokens(row, label_column=label_column, names=names)
        text, starts = join(tokens)
        if plain:
            marked = [(index, index + 1, tag) for index, tag in enumerate(tags)]
        else:
            _check_tags(tags, row)
            marked = spans_of_tags(tags)
        spans = [
            (starts[first], starts[last - 1] + len(tokens[last - 1]), label)
            for first, last, label in marked
        ]
        return AnnotatedText(text, tuple(spans), label_set, tuple(tokens), tuple(tags))
    text = row.text(text_column, hint="a row has tokens with tags, or a text with entities.")
    return AnnotatedText(text, tuple(_spans(row, text, label_column)), label_set)


def tagged_tokens(
    row: DataRow, *, label_column: str | None = None, names: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Tokens and tags of a row that has them.

    Raises:
        DataError: They are not lists of one length, or an id has no name.
    """
    tokens = _list(row, "tokens")
    column = label_column or first_column(TAG_COLUMNS, row.values) or "tags"
    tags = _list(row, column)
    if len(tokens) != len(tags):
        raise DataError(
            f"{row.where}: {len(tokens)} tokens and {len(tags)} tags.",
            hint=f"The lists 'tokens' and {column!r} have one item per token.",
        )
    for token in tokens:
        if not isinstance(token, str) or not token.strip():
            raise DataError(
                f"{row.where}: {token!r} is not a token.",
                hint="A token is a text that is not empty.",
            )
    found = [_tag(tag, names, column, row) for tag in tags]
    check_brackets(found, row.where)
    check_single(found, row.where)
    return [token.strip() for token in tokens], canonical_tags(found) or found


def join(tokens: Sequence[str]) -> tuple[str, list[int]]:
    """A text of tokens, and where each begins.

    There are spaces between them, but not next to Chinese or Japanese characters. If every token
    is a single character and some are Chinese, there are no spaces.
    """
    characters = all(len(token) == 1 for token in tokens) and any(map(_is_cjk, tokens))
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for index, token in enumerate(tokens):
        if index and not (characters or _is_cjk(tokens[index - 1][-1]) or _is_cjk(token[0])):
            parts.append(" ")
            length += 1
        starts.append(length)
        parts.append(token)
        length += len(token)
    return "".join(parts), starts


def _is_cjk(char: str) -> bool:
    """Whether a character is of a script, or punctuation, that is written without spaces."""
    code = ord(char)
    return (
        0x3000 <= code <= 0x30FF
        or 0x3400 <= code <= 0x4DBF
        or 0x4E00 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFF00 <= code <= 0xFFEF
        or 0x20000 <= code <= 0x323AF
    )


def _check_tags(tags: Sequence[str], row: DataRow) -> None:
    bare = [tag for tag in tags if not is_entity_tag(tag)]
    if _ROLES.issuperset(bare) and not _BEGUN.isdisjoint(bare):
        raise DataError(
            f"{row.where}: the tag {bare[0]!r} has no type.",
            hint="Write the type of the entities into the tags, such as B-TERM and I-TERM.",
        )
    if bare and any(tag != OUTSIDE and is_entity_tag(tag) for tag in tags):
        raise DataError(
            f"{row.where}: the tag {bare[0]!r} does not follow the scheme of the others.",
            hint="Tags are O, B-TYPE and I-TYPE (IOB1, BIO, BIOES and BILOU are read), or bare "
            "types throughout.",
        )


def _tag(tag: Any, names: Sequence[str], column: str, row: DataRow) -> str:
    if isinstance(tag, str) and tag.strip():
        return tag.strip()
    if isinstance(tag, int) and not isinstance(tag, bool):
        if 0 <= tag < len(names):
            return names[tag]
        known = f"there are {len(names)} names" if names else "nothing says what the ids mean"
        raise DataError(
            f"{row.where}: the column {column!r} holds the id {tag}, but {known}.",
            hint="Give the tags in the order of their ids by --labels, or write names.",
        )
    raise DataError(
        f"{row.where}: the column {column!r} holds {tag!r}, which is not a tag.",
        hint="A tag is a name such as B-LOC, or a whole number.",
    )


def _list(row: DataRow, column: str) -> list[Any]:
    value = row.nested(column)
    if not isinstance(value, list) or not value:
        state = "is missing" if column not in row.values else "is not a list, or is empty"
        raise DataError(
            f"{row.where}: the column {column!r} {state}.",
            hint=f"The row has {', '.join(map(repr, row.values))}; "
            "a row has tokens with tags, or a text with entities.",
        )
    return value


def _spans(row: DataRow, text: str, label_column: str | None) -> list[Span]:
    column = label_column or first_column(SPAN_COLUMNS, row.values) or "entities"
    values = row.nested(column)
    if not isinstance(values, list):
        state = "is missing" if column not in row.values else "is not a list"
        raise DataError(
            f"{row.where}: the column {column!r} {state}.",
            hint=f"The row has {', '.join(map(repr, row.values))}; "
            'spans are written as [{"start": 0, "end": 6, "label": "LOC"}].',
        )
    spans = sorted(_span(value, text, column, row) for value in values)
    for before, after in pairwise(spans):
        if after[0] < before[1]:
            raise DataError(
                f"{row.where}: the spans {text[before[0] : before[1]]!r} and "
                f"{text[after[0] : after[1]]!r} overlap.",
                hint="A character has at most one label; keep one of the two spans.",
            )
    return spans


def _span(value: Any, text: str, column: str, row: DataRow) -> Span:
    if isinstance(value, dict):
        label = next((value[name] for name in _SPAN_LABELS if name in value), None)
        start, end = (value.get(name, value.get(f"{name}_offset")) for name in ("start", "end"))
        if label is None and isinstance(value.get("labels"), list) and len(value["labels"]) == 1:
            label = value["labels"][0]
    elif isinstance(value, list | tuple) and len(value) == 3:
        start, end, label = value
    else:
        start = end = label = None
    if (
        type(start) is not int
        or type(end) is not int
        or not isinstance(label, str)
        or not label.strip()
    ):
        raise DataError(
            f"{row.where}: the column {column!r} holds {value!r}, which is not a span.",
            hint='A span looks like {"start": 0, "end": 6, "label": "LOC"}.',
        )
    if not 0 <= start < end <= len(text) or not text[start:end].strip():
        raise DataError(
            f"{row.where}: the span {start} to {end} ({label}) contains no text.",
            hint=f"Offsets count characters from 0, the end is exclusive; there are {len(text)}.",
        )
    if label == OUTSIDE:
        raise DataError(f"{row.where}: a span has the label 'O'.", hint="Leave such spans out.")
    part = text[start:end]
    said = value.get("text") if isinstance(value, dict) else None
    # Label Studio may write a line end as two characters.
    if isinstance(said, str) and said.replace("\\n", " ").split() != part.split():
        raise DataError(
            f"{row.where}: the span {start} to {end} ({label}) is {part!r}, and not {said!r}.",
            hint="Offsets count characters (not bytes) from 0, and the end is exclusive.",
        )
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip()), label


def _label_set(row: DataRow) -> frozenset[str] | None:
    value: Any = row.values.get(LABEL_SET)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, Collection) or not all(isinstance(v, str) and v for v in value):
        raise DataError(
            f"{row.where}: the column {LABEL_SET!r} holds {value!r}.",
            hint='It names the types that the source annotates, such as ["PER", "ORG"].',
        )
    return frozenset(value)

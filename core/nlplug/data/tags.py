"""Tag schemes: one tag per token, read as spans of tokens and written from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from nlplug.errors import DataError

Span = tuple[int, int, str]
"""First token, the one after the last, and the type."""

OUTSIDE = "O"

# Names of the columns of tokens and tags, in small letters.
TOKEN_COLUMN = re.compile(r"tokens?|words?")
TAG_COLUMN = re.compile(r"(ner[_ ]?)?tags?|ner|iob|bio")
# IOB1, BIO (IOB2), BIOES, BMES and BILOU differ only in these letters.
_ROLES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_BRACKETS = re.compile(r"(?P<kinds>(?:\([^\s()*]+)+|(?=\*))\*?(?P<closes>\)*)")
_SEVERAL = re.compile(r"(?:O|[BIEMSLU][-_][^|,;+]+)(?:[|,;+](?:O|[BIEMSLU][-_][^|,;+]+))+")
_SMALL = "-_"
"""Separators beside which the letter of a role may be small; ``n.s`` is a part of speech."""


def split_tag(tag: str) -> tuple[str, str] | None:
    """Role (``B``, ``I``, ``E``, ``S`` or ``O``) and type of an entity tag; None for others."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    role, dash, kind = tag.partition("-")
    return (_ROLES[role], kind) if dash and kind and role in _ROLES else None


def canonical_tags(tags: Sequence[str]) -> list[str] | None:
    """Tags as ``O`` and ``B-TYPE``, from any way to write them; None where they are no entity tags.

    Also read are ``B_TYPE``, ``B:TYPE``, ``B.TYPE``, ``B/TYPE``, ``B|TYPE``, the type before the
    letter, small letters, and the brackets of CoNLL-2012: ``(TYPE)``, ``(TYPE*``, ``*``, ``*)``.
    One sequence keeps to one way: where some tags fit it and some do not, the result is None.
    """
    if (bracketed := _of_brackets(tags)) is not None:
        return bracketed
    for separator in "-_:./|":
        for role_first in (True, False):
            found = [_canonical(tag, separator, role_first=role_first) for tag in tags]
            if all(tag is not None for tag in found):
                return [tag for tag in found if tag is not None]
    return None


def _of_brackets(tags: Sequence[str]) -> list[str] | None:
    """Tags of brackets as ``O``, ``B-TYPE`` and ``I-TYPE``; None where they are not all such tags,
    or brackets are nested or not closed."""
    found = outer_entities(tags)
    return None if found is None or found[1] else found[0]


def are_brackets(tags: Sequence[str]) -> bool:
    """Whether all tags have the form of the brackets of CoNLL-2012, closed or not."""
    return all(map(_BRACKETS.fullmatch, tags)) and any("(" in tag or ")" in tag for tag in tags)


def outer_entities(
    tags: Sequence[str], *, cut_off: bool = False
) -> tuple[list[str], list[str]] | None:
    """Tags of brackets as ``O``, ``B-TYPE`` and ``I-TYPE`` of the entities in no other entity.

    Args:
        tags: The tags, such as ``(ORG(GPE*)``, ``*)``.
        cut_off: Whether more tags may follow, so that brackets may stay open.

    Returns:
        The tags, and the types of the entities inside others; None where a tag has another form, or
        brackets do not match.
    """
    found: list[str] = []
    inner: list[str] = []
    opened: list[str] = []
    for tag in tags:
        match = _BRACKETS.fullmatch(tag)
        if match is None:
            return None
        begun = match["kinds"].split("(")[1:]
        inner += begun if opened else begun[1:]
        role = "I" if opened else "B"
        opened += begun
        found.append(f"{role}-{opened[0]}" if opened else OUTSIDE)
        closes = len(match["closes"])
        if closes > len(opened):
            return None
        del opened[len(opened) - closes :]
    return None if opened and not cut_off else (found, inner)


def check_brackets(tags: Sequence[str], place: str) -> None:
    """Refuse tags of brackets that cannot be read as entities one after another.

    Raises:
        DataError: Brackets are nested, or do not match; names the place.
    """
    if not are_brackets(tags):
        return
    shown = next(tag for tag in tags if "(" in tag or ")" in tag)
    if (found := outer_entities(tags)) is None:
        raise DataError(
            f"{place}: the brackets of the tags do not match, first {shown!r}.",
            hint="(TYPE) is an entity of one token; (TYPE* begins one, and *) ends it in the same "
            "sentence.",
        )
    if found[1]:
        raise DataError(
            f"{place}: an entity {found[1][0]!r} is inside another entity.",
            hint="Keep the outer entities only, or write a CoNLL file: its outer entities are "
            "read.",
        )


def check_single(tags: Sequence[str], place: str) -> None:
    """Refuse a tag that names several entities, such as ``B-PER|B-ORG`` or ``B-PER,O``.

    Raises:
        DataError: There is one; names the place.
    """
    several = next((tag for tag in tags if _SEVERAL.fullmatch(tag)), None)
    if several is not None:
        raise DataError(
            f"{place}: the tag {several!r} names several entities.",
            hint="Give each token one tag, for example that of the outer entity.",
        )


def _canonical(tag: str, separator: str, *, role_first: bool) -> str | None:
    if tag in (OUTSIDE, OUTSIDE.lower()):
        return OUTSIDE
    if role_first:
        role, mark, kind = tag.partition(separator)
    else:
        kind, mark, role = tag.rpartition(separator)
    role = role.upper() if separator in _SMALL else role
    return f"{role}-{kind}" if mark and kind and role in _ROLES else None


def is_entity_tag(tag: str) -> bool:
    """Whether a tag is ``O`` or of the form ``B-TYPE``."""
    return split_tag(tag) is not None


def type_of(tag: str) -> str:
    """``TYPE`` of ``B-TYPE``, and of a bare ``TYPE``; nothing for ``O``."""
    return (split_tag(tag) or ("I", tag))[1]


def label_single_tokens(tags: Collection[str]) -> bool:
    """Whether tags label each token by itself, as parts of speech do, and not entities.

    Tags of entities have an ``O`` among them, or are of the form ``B-TYPE``.
    """
    return bool(tags) and not any(map(is_entity_tag, tags))


def spans_of_tags(tags: Sequence[str]) -> list[Span]:
    """The entities of a tagged sequence, whichever of the schemes it keeps to.

    An ``I-`` that continues nothing begins an entity, as in IOB1 and in conlleval; a bare ``TYPE``
    is read as ``I-TYPE``.
    """
    spans: list[Span] = []
    start, open_type, ended = 0, "", True
    for index, tag in enumerate(tags):
        role, kind = split_tag(tag) or ("I", tag)
        continues = not ended and kind == open_type and role in ("I", "E")
        if not ended and not continues:
            spans.append((start, index, open_type))
        if role == OUTSIDE:
            ended = True
            continue
        if not continues:
            start, open_type = index, kind
        ended = role in ("E", "S")
        if ended:
            spans.append((start, index + 1, kind))
    if not ended:
        spans.append((start, len(tags), open_type))
    return spans


def strict_spans(tags: Sequence[str]) -> list[Span]:
    """The entities that keep to IOB2, as in seqeval's strict mode.

    An entity is a ``B-TYPE`` and each ``I-TYPE`` after it; other ``I-`` tags are ignored. Tags of
    BIOES and BILOU are read as those of IOB2.
    """
    spans: list[Span] = []
    follows = False
    for index, tag in enumerate(tags):
        role, kind = split_tag(tag) or ("I", tag)
        if role in ("B", "S"):
            spans.append((index, index + 1, kind))
            follows = True
        elif role in ("I", "E") and follows and spans[-1][2] == kind:
            start, end, _ = spans[-1]
            spans[-1] = (start, end + 1, kind)
        else:
            follows = False
    return spans


def tags_of_spans(spans: Sequence[Span], length: int) -> list[str]:
    """BIO tags of a sequence of ``length`` tokens."""
    tags = [OUTSIDE] * length
    for start, end, kind in spans:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags

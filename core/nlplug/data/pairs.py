"""Pairs of a source and its target, as rows of data files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlplug.data.rows import DataRow
from nlplug.errors import DataError

_SHAPE = (
    'A row looks like {"translation": {"en": "…", "fr": "…"}} or {"source": "…", "target": "…"}; '
    "--source and --target, or --text-column and --label-column of nlplug evaluate, name its "
    "languages or columns."
)


@dataclass(frozen=True)
class Pair:
    """A source text and its target text.

    Attributes:
        source: The source text.
        target: The target text.
        language: Name of the target's language or column.
    """

    source: str
    target: str
    language: str


def language_token(language: str) -> str:
    """The token with which a source says what it is to become."""
    return f">>{language}<<"


def pairs_of(row: DataRow, source: str, targets: Sequence[str]) -> list[Pair]:
    """The pairs of a row, one for each of the targets that it has.

    Args:
        row: With ``translation``, a text for each language, else with columns.
        source: Language or column; empty: ``source``, else the first one.
        targets: Languages or columns; none: ``target``, else all others.

    Raises:
        DataError: No source or no target, or one that is not a text; names file and line.
    """
    values = row.nested("translation") if "translation" in row.values else row.values
    if not isinstance(values, dict):
        raise DataError(f"{row.where}: 'translation' is {values!r}.", hint=_SHAPE)
    plain = values is row.values
    first = source or ("source" if plain else next(iter(values), ""))
    found = [name for name in targets or (["target"] if plain else values) if name in values]
    found = [name for name in found if name != first]
    if not found:
        wanted = " nor ".join(map(repr, targets)) or "'target'"
        raise DataError(f"{row.where}: there is no {wanted}.", hint=_SHAPE)
    for name in (first, *found):
        if not isinstance(values.get(name), str) or not values[name].strip():
            state = f"is {values[name]!r}, not a text" if name in values else "is missing"
            raise DataError(f"{row.where}: {name!r} {state}.", hint=_SHAPE)
    return [Pair(values[first], values[name], name) for name in found]

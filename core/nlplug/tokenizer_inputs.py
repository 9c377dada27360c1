"""Texts and pairs that a tokenizer is called with, and how they are cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nlplug.argument_rules import shown
from nlplug.errors import InputError, OptionError
from nlplug.runtime.token_windows import longest_first

_STRATEGIES = ("longest_first", "only_first", "only_second")


def read_pairs(text: Any, text_pair: Any = None) -> list[tuple[str, str | None]]:
    """Texts, each with the second text of its pair.

    Args:
        text: A text, or a list of texts or of pairs.
        text_pair: The second text, or one for each text; an empty one is none.

    Raises:
        InputError: A value is no text or pair, or the lists have different lengths.
    """
    rows = _listed(text, "text")
    if text_pair is None:
        return [_pair(row) for row in rows]
    seconds = _listed(text_pair, "text_pair")
    if len(rows) != len(seconds) or isinstance(text, str) != isinstance(text_pair, str):
        raise InputError(
            f"text has {len(rows)} text(s), and text_pair {len(seconds)}.",
            hint="Give two texts, or two lists of the same length.",
        )
    return [_pair(pair) for pair in zip(rows, seconds, strict=True)]


def strategy_of(truncation: Any) -> str | None:
    """How a row is cut off, by the value of ``truncation``; None: not at all.

    Raises:
        OptionError: There is no such value.
    """
    name = getattr(truncation, "value", truncation)  # of an enum
    if name in (None, False, "do_not_truncate"):
        return None
    if name is True:
        return _STRATEGIES[0]
    if name not in _STRATEGIES:
        raise OptionError(
            f"truncation is {shown(truncation)}.",
            hint=f"Give True, False, or one of {', '.join(_STRATEGIES)}.",
        )
    return str(name)


def cut_parts(parts: Sequence[list[int]], room: int, strategy: str) -> list[list[int]]:
    """The tokens of a text, or of both texts of a pair, without those that are too many.

    Args:
        parts: The tokens of one or two texts.
        room: Number of tokens to keep.
        strategy: Which text of a pair loses tokens.
    """
    sizes = [len(part) for part in parts]
    if sum(sizes) <= room:
        return list(parts)
    if len(parts) == 1:
        return [parts[0][:room]]
    if strategy == "longest_first":
        kept = longest_first(sizes[0], sizes[1], room)
    elif strategy == "only_first":
        kept = (max(room - sizes[1], 0), sizes[1])
    else:
        kept = (sizes[0], max(room - sizes[0], 0))
    return [part[:size] for part, size in zip(parts, kept, strict=True)]


def _listed(given: Any, name: str) -> list[Any]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, Iterable) and not isinstance(given, bytes | Mapping):
        return list(given)
    raise _no_text(given, name)


def _pair(row: Any) -> tuple[str, str | None]:
    if isinstance(row, str):
        return row, None
    if isinstance(row, list | tuple) and len(row) == 2 and all(isinstance(one, str) for one in row):
        return row[0], row[1] or None
    raise _no_text(row, "A row")


def _no_text(given: Any, name: str) -> InputError:
    return InputError(
        f"{name} is {shown(given)}.",
        hint="Give a text, a list of texts, or a list of pairs of texts.",
    )

"""Texts and pairs that a tokenizer is called with, and how they are cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nlplug.argument_rules import is_number, shown
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
    return _choice("truncation", truncation, _STRATEGIES, "do_not_truncate")


def padding_of(padding: Any) -> str | None:
    """How rows are padded, by the value of ``padding``; None: not at all.

    Raises:
        OptionError: There is no such value.
    """
    return _choice("padding", padding, ("longest", "max_length"), "do_not_pad")


def _choice(name: str, value: Any, choices: Sequence[str], none: str) -> str | None:
    """One of the choices, of which True is the first; None for False, None and ``none``."""
    given = getattr(value, "value", value)  # of an enum
    if given is None or given is False or (isinstance(given, str) and given == none):
        return None
    if given is True:
        return choices[0]
    if not isinstance(given, str) or given not in choices:
        raise OptionError(
            f"{name} is {shown(value)}.", hint=f"Give True, False, or one of {', '.join(choices)}."
        )
    return given


def read_limit(max_length: Any) -> int:
    """A number of tokens.

    Raises:
        OptionError: It is not a whole number of 1 or more.
    """
    if not is_number(max_length) or max_length < 1:
        raise OptionError(
            f"max_length is {shown(max_length)}.", hint="Give a whole number of 1 or more."
        )
    return int(max_length)


def read_ids(method: str, given: Any) -> list[int]:
    """Ids of tokens.

    Args:
        method: The method that has them, for the message.
        given: An id or several, also an array of numpy or a tensor.

    Raises:
        InputError: These are no ids.
    """
    ids = given.tolist() if hasattr(given, "tolist") else given
    ids = [ids] if is_number(ids) else ids
    if not isinstance(ids, Iterable) or isinstance(ids, str):
        raise no_ids(method, given)
    ids = list(ids)
    if not all(is_number(one) and one >= 0 for one in ids):
        raise no_ids(method, given)
    return ids


def no_ids(method: str, given: Any) -> InputError:
    """The error for a value that is no ids."""
    return InputError(
        f"{method}() has {shown(given)} as ids.",
        hint="Give an id or a list of ids; batch_decode() takes several lists.",
    )


def check_text_type(method: str, text: Any) -> None:
    """Refuse what is not a text.

    Raises:
        InputError: It is none.
    """
    if not isinstance(text, str):
        raise InputError(
            f"{method}() has {shown(text)} as its text.",
            hint="Give one text; call the tokenizer for a list of texts.",
        )


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

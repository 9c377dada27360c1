"""Parses JSON from outside, with one kind of error for all that can be wrong with it."""

from __future__ import annotations

import json
from typing import Any

_SHOWN = 60


def parse_json(text: str | bytes | bytearray, *, unique_keys: bool = False) -> Any:
    """The value of a JSON text, as ``json.loads`` gives it.

    ``json.loads`` raises a RecursionError for deep nesting, and a ValueError without a place for
    an integer of thousands of digits and for bytes that are not UTF-8.

    Args:
        text: The text.
        unique_keys: Whether an object that has a key twice cannot be parsed; otherwise the last
            value counts.

    Raises:
        JSONDecodeError: For any text that cannot be parsed.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique if unique_keys else None)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", 0) from None
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
    except ValueError:
        raise json.JSONDecodeError("a number has thousands of digits", "", 0) from None


def is_json_object(text: str) -> bool:
    """Whether a text is one JSON object."""
    try:
        return text.startswith("{") and isinstance(parse_json(text), dict)
    except json.JSONDecodeError:
        return False


def json_fault(error: json.JSONDecodeError) -> str:
    """What is wrong with a JSON text, and at which column if that is known."""
    return f"{error.msg} at column {error.colno}" if error.doc else error.msg


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise json.JSONDecodeError(f"the key {twice!r} is repeated in an object", "", 0)
    return found


def json_type(value: Any) -> str:
    """Name of the type of a JSON value for errors: ``an array``, ``null``, …"""
    names = {str: "a string", list: "an array", bool: "a boolean", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def json_shown(value: Any) -> str:
    """A JSON value for errors: its type, and how a file has it, as in ``a number, NaN``."""
    if value is None:
        return "null"
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):
        return json_type(value)
    return f"{json_type(value)}, {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"

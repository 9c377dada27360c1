"""Parses JSON from outside, with one kind of error for all that can be wrong with it."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text, as ``json.loads`` gives it.

    ``json.loads`` raises a RecursionError for deep nesting, and a ValueError without a place for
    an integer of thousands of digits and for bytes that are not UTF-8.

    Raises:
        JSONDecodeError: For any text that cannot be parsed.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None

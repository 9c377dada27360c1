"""What a reader gives in place of a row that it cannot read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nlplug.errors import DataError


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that cannot be read; those after it can.

    Attributes:
        line: 1-based line of the file.
        values: What could be read of it.
        error: What is wrong.
    """

    line: int
    values: dict[str, Any]
    error: DataError

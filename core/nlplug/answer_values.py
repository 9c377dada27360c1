"""The values of answers: those that JSON can write, checked for all interfaces in one place."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import PluginError
from nlplug.text.surrogates import lone_surrogate

if TYPE_CHECKING:
    from nlplug.task import Task

_NUMBERS = "biuf"
"""Kinds of numpy's numbers: bool, int, unsigned int and float."""


def check_answer(task: Task, answer: Any) -> None:
    """Refuse an answer that JSON cannot write.

    Args:
        task: The task that gave the answer.
        answer: The answer. Numbers and arrays of numpy are accepted.

    Raises:
        PluginError: A value has another type than dict, list, str, int, float, bool and None, a
            number is NaN or infinite, or a text is not valid Unicode.
    """
    try:
        fault = _fault(answer)
    except RecursionError:
        fault = "lists or dicts that are nested too deeply"
    if fault is not None:
        raise PluginError(
            f"An answer of the task {task.name!r} has {fault}.",
            hint="Report it to the authors of its plugin: answers are made of dict, list, str, "
            "int, bool, None and finite float.",
        )


def numpy_as_json(value: Any) -> Any:
    """Numbers and arrays of numpy as JSON has them: ``default`` of ``json.dumps``.

    Raises:
        TypeError: The value is of another type.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _fault(value: Any) -> str | None:
    """What JSON cannot write, or None."""
    if value is None or isinstance(value, int):
        return None
    if isinstance(value, str):
        found = lone_surrogate(value)
        return None if found is None else f"the lone surrogate {value[found]!r} in a text"
    if isinstance(value, float):
        return None if isfinite(value) else f"the number {value}"
    if isinstance(value, dict):
        return _first(_fault_of_name(name) or _fault(part) for name, part in value.items())
    if isinstance(value, list | tuple):
        if value and type(value[0]) is float and _sum_is_finite(value):
            return None
        return _first(map(_fault, value))
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _NUMBERS:
        return None if np.isfinite(value).all() else "a number that is NaN or infinite"
    return f"a value of the type {type(value).__name__}"


def _fault_of_name(name: Any) -> str | None:
    return _fault(name) if isinstance(name, str) else f"the name {name!r} in a dict"


def _first(faults: Iterable[str | None]) -> str | None:
    return next(filter(None, faults), None)


def _sum_is_finite(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether all are finite numbers; embeddings have thousands, which `sum` reads fast."""
    try:
        return isfinite(sum(values))
    except (TypeError, OverflowError):
        return False

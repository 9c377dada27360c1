"""What callers pass becomes a task's Input and Options, or one clear error."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nlplug.errors import InputError, NlplugError, OptionError

if TYPE_CHECKING:
    from nlplug.task import Task, TaskInput, TaskOptions


def split_arguments(
    task: Task, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keyword arguments into those of the task's Input and its Options.

    Raises:
        OptionError: A name that is neither.
    """
    fields = {k: v for k, v in arguments.items() if k in task.Input.model_fields}
    options = {k: v for k, v in arguments.items() if k not in fields}
    for name in options:
        if name not in task.Options.model_fields:
            raise _unknown(task, name)
    return fields, options


def make_input(task: Task, value: Any) -> TaskInput:
    """Validate one input: a bare string fills the first field, a mapping fills fields by name.

    Raises:
        InputError: A missing, unknown or ill-typed field.
    """
    if isinstance(value, task.Input):
        return value
    value = task.wrap(value)
    if isinstance(value, str):
        value = {next(iter(task.Input.model_fields)): value}
    if not isinstance(value, Mapping):
        names = ", ".join(task.Input.model_fields)
        raise InputError(
            f"The task {task.name!r} cannot take {type(value).__name__} {_short(value)} "
            "as an input.",
            hint=f"Pass a string, or a dict with the fields: {names}.",
        )
    try:
        return task.Input.model_validate(value)
    except ValidationError as error:
        raise _explain(error, InputError, f"input of the task {task.name!r}") from None


def make_options(task: Task, values: Mapping[str, Any]) -> TaskOptions:
    """Validate the options of a call.

    Raises:
        OptionError: An unknown option, or a value of the wrong type or out of its bounds.
    """
    for name in values:
        if name not in task.Options.model_fields:
            raise _unknown(task, name)
    try:
        return task.Options.model_validate(values)
    except ValidationError as error:
        raise _explain(error, OptionError, f"option of the task {task.name!r}") from None


def _unknown(task: Task, name: str) -> OptionError:
    known = [*task.Options.model_fields, *task.Input.model_fields]
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return OptionError(
        f"The task {task.name!r} has no option {name!r}.",
        hint=f"{guess}Its options are: {', '.join(task.Options.model_fields) or 'none'}.",
    )


def _explain(error: ValidationError, kind: type[NlplugError], what: str) -> NlplugError:
    """The first problem as a sentence, and the others counted."""
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "the value"
    others = len(problems) - 1
    rest = f" ({others} more problem{'s' * (others > 1)})" if others else ""
    if first["type"] == "missing":
        return kind(f"The {what} lacks {where!r}.{rest}", hint=f"Give a value for {where!r}.")
    if first["type"] == "extra_forbidden":
        return kind(f"There is no {where!r} in the {what}.{rest}", hint=f"Leave {where!r} out.")
    return kind(
        f"Wrong {what}: {where} is {_short(first['input'])}.{rest}", hint=f"{first['msg']}."
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"

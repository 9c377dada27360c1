"""What callers pass becomes a task's Input and Options, or one clear error."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from nlplug.argument_rules import UnlessStated, is_number, shown
from nlplug.errors import InputError, NlplugError, OptionError, UnknownOption
from nlplug.text.characters import is_blank
from nlplug.text.surrogates import lone_surrogate

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.task import Task, TaskInput, TaskOptions

Checked = TypeVar("Checked", bound=BaseModel)
_WITHOUT_TEXT = (NoneType, int, float)
"""Types whose values hold no text, which most options have."""


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


def make_input(task: Task, value: Any, *, may_be_blank: Collection[str] = frozenset()) -> TaskInput:
    """Validate one input: a bare string fills the first field, a mapping fills fields by name.

    Args:
        task: The task.
        value: The input.
        may_be_blank: Fields that may consist of white space, but not be empty.

    Raises:
        InputError: A missing, unknown or ill-typed field, a text that is not valid Unicode, or a
            blank one where the task has no answer to such.
    """
    what = f"input of the task {task.name!r}"
    if isinstance(value, task.Input):
        return _not_blank(task, _readable(value, InputError, what), may_be_blank)
    value = task.wrap(value)
    if isinstance(value, str):
        value = {next(iter(task.Input.model_fields)): value}
    if not isinstance(value, Mapping):
        names = ", ".join(task.Input.model_fields)
        raise InputError(
            f"The task {task.name!r} cannot take {shown(value)} as an input.",
            hint=f"Pass a string, or a dict with the fields: {names}.",
        )
    try:
        made = task.Input.model_validate(value)
    except ValidationError as error:
        raise _explain(error, InputError, what, value) from None
    return _not_blank(task, _readable(made, InputError, what), may_be_blank)


def _not_blank(task: Task, made: Checked, may_be_blank: Collection[str]) -> Checked:
    """The same, if no required text in it is blank, or the task answers blank texts."""
    blank = str.isspace if task.answers_invisible else is_blank
    for name, field in () if task.answers_blank else type(made).model_fields.items():
        text = getattr(made, name)
        if not field.is_required() or not isinstance(text, str):
            continue
        if not text or (name not in may_be_blank and blank(text)):
            raise InputError(
                f"Wrong input of the task {task.name!r}: {name} is {shown(text)}.",
                hint="It is empty: give a text that is more than white space.",
            )
    return made


def merge_options(
    task: Task, defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The given options over the defaults that they do not replace.

    See `Task.replaces`, `Task.bounds` and `nlplug.argument_rules.UnlessStated`.
    """
    given = {
        name: value.value if isinstance(value, UnlessStated) else value
        for name, value in given.items()
        if not isinstance(value, UnlessStated) or not _states(task, defaults, name)
    }
    gone = {old for new, old in task.replaces.items() if new in given}
    kept = {name: value for name, value in defaults.items() if name not in gone}
    for upper, lower in task.bounds.items():
        most = given.get(upper)
        if is_number(most) and is_number(kept.get(lower)):
            kept[lower] = min(most, kept[lower])
    return {**kept, **given}


def _states(task: Task, defaults: Mapping[str, Any], name: str) -> bool:
    """Whether the defaults have an option, or the one that it replaces."""
    return any(defaults.get(one) is not None for one in (name, task.replaces.get(name, name)))


def model_defaults(task: Task, bundle: Bundle) -> dict[str, Any]:
    """The defaults of a model that are options of the task: other tasks may run it too."""
    known = task.Options.model_fields
    return {name: value for name, value in task.default_options(bundle).items() if name in known}


def options_for(task: Task, bundle: Bundle, given: Mapping[str, Any]) -> TaskOptions:
    """The given options over the defaults of a model; raises as `make_options` does."""
    return make_options(task, merge_options(task, model_defaults(task, bundle), given))


def make_options(task: Task, values: Mapping[str, Any]) -> TaskOptions:
    """Validate the options of a call.

    Raises:
        OptionError: An unknown option, a value of the wrong type or out of its bounds, or a text
            that is not valid Unicode.
    """
    for name in values:
        if name not in task.Options.model_fields:
            raise _unknown(task, name)
    what = f"option of the task {task.name!r}"
    for name, value in values.items():
        # Pydantic would take true for 1.
        if isinstance(value, bool) and name in _numbers(task.Options):
            raise OptionError(f"Wrong {what}: {name} is {value}.", hint="Give a number.")
    try:
        made = task.Options.model_validate(values)
    except ValidationError as error:
        raise _explain(error, OptionError, what, values) from None
    return _readable(made, OptionError, what)


def takes_argument(task: Task, name: str) -> bool:
    """Whether a task has an argument of this name, as its own or as one of transformers."""
    try:
        # None is the default of all arguments of transformers.
        split_arguments(task, task.adapt({name: None}))
    except UnknownOption:
        return False
    except OptionError:
        return True
    return True


@cache
def _numbers(options: type[BaseModel]) -> frozenset[str]:
    """The options that are numbers, or None."""
    fields = options.model_fields.items()
    kinds = {name: {*get_args(field.annotation), field.annotation} for name, field in fields}
    return frozenset(
        name for name, found in kinds.items() if found & {int, float} and bool not in found
    )


def no_model(task: Task) -> OptionError:
    """The error where no model is given for a task that has no default model."""
    fit = ", ".join(task.suggested_models)
    return OptionError(
        f"The task {task.name!r} has no default model.",
        hint="Name a model: a folder, a packaged model's name, or a Hub id"
        + (f", such as {fit}." if fit else "."),
    )


def check_text(text: str, name: str, kind: type[NlplugError] = InputError) -> None:
    """Refuse what no encoding can write and no tokenizer can take.

    Args:
        text: Any text.
        name: What the message calls it.
        kind: The error to raise.

    Raises:
        NlplugError: Of that kind: it holds a lone surrogate.
    """
    if (place := lone_surrogate(text)) is not None:
        raise _not_unicode(text[place], place, name, kind)


def _not_unicode(mark: str, place: int, name: str, kind: type[NlplugError]) -> NlplugError:
    return kind(
        f"{name} holds the lone surrogate {mark!r} at character {place}, which is "
        "not valid Unicode.",
        hint="Decode the source with the right encoding, or drop such characters with "
        "text.encode('utf-8', 'ignore').decode().",
    )


def _unknown(task: Task, name: str) -> OptionError:
    known = [*task.Options.model_fields, *task.Input.model_fields]
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    if name in task.Input.model_fields:
        guess = "It is a field of the input. "
    return UnknownOption(
        f"The task {task.name!r} has no option {name!r}.",
        hint=f"{guess}Its options are: {', '.join(task.Options.model_fields) or 'none'}.",
    )


def _readable(made: Checked, kind: type[NlplugError], what: str) -> Checked:
    """The same, if all texts in it are valid Unicode."""
    for where, text in _texts(made):
        check_text(text, f"Wrong {what}: {where}", kind)
    return made


def _texts(made: BaseModel) -> Iterator[tuple[str, str]]:
    """All texts within a value, with their paths."""
    # No recursion: the other fields of a chat message may be nested to any depth.
    todo: list[tuple[str, Any]] = [("", made)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, str):
            yield path, value
            continue
        parts: list[tuple[Any, Any]] = []
        names: list[tuple[str, Any]] = []
        if isinstance(value, BaseModel):
            parts = [*vars(value).items(), *(value.model_extra or {}).items()]
        elif isinstance(value, Mapping):
            parts = list(value.items())
            names = [(f"a name in {path}", name) for name in value]
        elif isinstance(value, list | tuple | set | frozenset):
            parts = list(enumerate(value))
        todo += [
            (f"{path}.{key}" if path else str(key), part)
            for key, part in reversed(parts)
            if not isinstance(part, _WITHOUT_TEXT)
        ]
        todo += names  # before the parts: a path of broken names could not be printed


def _explain(
    error: ValidationError, kind: type[NlplugError], what: str, value: Mapping[str, Any]
) -> NlplugError:
    """The first problem as a sentence, and the others counted."""
    problems = error.errors(include_url=False)
    first = problems[0]
    own = first.get("ctx", {}).get("error")
    if isinstance(own, NlplugError):  # raised by a validator
        return own
    where = _path(first["loc"], value) or "the value"
    others = len(problems) - 1
    rest = f" ({others} more problem{'s' * (others > 1)})" if others else ""
    if first["type"] == "missing":
        return kind(f"The {what} lacks {where!r}.{rest}", hint=f"Give a value for {where!r}.")
    if first["type"] == "extra_forbidden":
        return kind(f"There is no {where!r} in the {what}.{rest}", hint=f"Leave {where!r} out.")
    if first["type"] == "string_unicode" and isinstance(first["input"], str):
        place = lone_surrogate(first["input"]) or 0
        return _not_unicode(first["input"][place], place, f"Wrong {what}: {where}", kind)
    # What a validator says of its own comes with a word about its kind before it.
    said = str(own or first["msg"])
    return kind(
        f"Wrong {what}: {where} is {shown(first['input'])}.{rest}", hint=f"{said.rstrip('.')}."
    )


def _path(parts: Sequence[int | str], value: Any) -> str:
    """The position of a problem in the value, without the names of the types that were tried."""
    found: list[str] = []
    for number, part in enumerate(parts):
        if isinstance(value, Mapping):
            # A field that is missing, which can only be the last.
            if part not in value and number < len(parts) - 1:
                continue
            value = value.get(part)
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        found.append(str(part))
    return ".".join(found)

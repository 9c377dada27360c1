"""Rules that convert arguments of the pipelines of transformers 4.57 to options of a task.

A rule renames an argument, leaves out what changes nothing here, or refuses it with the way to the
same result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from nlplug.errors import OptionError, warn

Rule = Callable[[str, Any], Mapping[str, Any]]
"""Converts the name and the value of an argument to options; none if it changes nothing."""


@dataclass(frozen=True, slots=True)
class UnlessStated:
    """A value of an option that yields to one that the model or the pipeline states."""

    value: Any


def is_number(value: Any, kind: type = Integral) -> bool:
    """Whether a value is a number of a kind, be it of Python or of numpy; truth values are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def plain_arguments(arguments: Mapping[str, Any], fields: Collection[str] = ()) -> dict[str, Any]:
    """The arguments of a call, with lists for arrays and for columns of tables.

    Args:
        arguments: Fields of an input, and options.
        fields: Names of the fields, whose values are checked as inputs.

    Raises:
        OptionError: An option is neither true nor false, such as ``pandas.NA``, so that no rule
            can compare it.
    """
    return {name: _plain(name, value, is_field=name in fields) for name, value in arguments.items()}


def _plain(name: str, value: Any, *, is_field: bool) -> Any:
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    try:
        bool(value)
    except (TypeError, ValueError):
        if not is_field:
            raise OptionError(f"{name} is {shown(value)}.", hint="Give a plain value.") from None
    return value


def flag(name: str, value: Any) -> bool:
    """The value of a switch, which may also be 1, 0 or None.

    Raises:
        OptionError: It is another value.
    """
    value = _plain(name, value, is_field=False)
    if value is None or (isinstance(value, bool | int) and value in (False, True)):
        return bool(value)
    raise OptionError(f"{name} is {shown(value)}.", hint="Give True or False.")


def ignored(name: str, value: Any) -> Mapping[str, Any]:
    """Accept any value of an argument that cannot change an answer here."""
    return {}


def only(*accepted: Any, hint: str) -> Rule:
    """A rule that accepts these values, which change nothing here, and refuses others.

    Numbers are compared by value, and a list also equals a list of a derived type.
    """

    def rule(name: str, value: Any) -> Mapping[str, Any]:
        if any(_same(value, one) for one in accepted):
            return {}
        raise OptionError(f"{name}={shown(value)} is not available.", hint=hint)

    return rule


def _same(value: Any, one: Any) -> bool:
    if type(one) in (int, float):
        return is_number(value, Real) and bool(value == one)
    return value is one or (isinstance(value, type(one)) and bool(value == one))


def renamed(new: str) -> Rule:
    """A rule for an old name of an option; None is its default."""

    def rule(name: str, value: Any) -> Mapping[str, Any]:
        if value is None:
            return {}
        warn(f"{name} is an old name; use {new}.", FutureWarning)
        return {new: value}

    return rule


def when_none(value_of_none: Any) -> Rule:
    """A rule that replaces None, which is "off" or "the default" in transformers."""

    def rule(name: str, value: Any) -> Mapping[str, Any]:
        return {name: value_of_none if value is None else value}

    return rule


def when_default(name: str, value: Any) -> Mapping[str, Any]:
    """Leave out an option that is None, so that it has its default."""
    return {} if value is None else {name: value}


def values(replaced: Mapping[Any, Any]) -> Rule:
    """A rule that replaces some values of an option; texts are compared in lower case."""

    def rule(name: str, value: Any) -> Mapping[str, Any]:
        key = value.lower() if isinstance(value, str) else value
        known = isinstance(key, str | bool | None)
        return {name: replaced[key] if known and key in replaced else value}

    return rule


def at_least(least: int) -> Rule:
    """A rule that accepts whole numbers from ``least``, and None."""

    def rule(name: str, value: Any) -> Mapping[str, Any]:
        if value is None or (is_number(value) and value >= least):
            return {}
        raise OptionError(
            f"{name} is {shown(value)}.",
            hint=f"Leave it out, or give a whole number of {least} or more; it changes no answer.",
        )

    return rule


def return_tensors(name: str, value: Any) -> Mapping[str, Any]:
    """The rule of ``return_tensors``, which takes the names of frameworks too."""
    if isinstance(value, str):
        if value not in ("np", "pt", "tf"):
            raise OptionError(f"{name} is {shown(value)}.", hint="Give True or False.")
        if value != "np":
            warn(f"{name}={value!r} gives arrays of numpy, not tensors.", UserWarning)
        value = True
    return {} if value is None else {name: flag(name, value)}


def with_truncation(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tokenizer; ``max_length`` alone truncates, as in transformers."""
    alone = arguments.get("max_length") is not None and arguments.get("truncation") is None
    cuts = alone and arguments.get("padding") in (None, False, "do_not_pad")
    return {**arguments, "truncation": True} if cuts else dict(arguments)


def tokenizer_arguments(name: str, value: Any) -> Mapping[str, Any]:
    """The rule of ``tokenizer_kwargs`` or ``tokenize_kwargs``, the arguments of a tokenizer."""
    given = {} if value is None else value
    given = with_truncation(given) if isinstance(given, Mapping) else given
    known = isinstance(given, Mapping) and set(given) <= {*_OF_TOKENIZER, *_WITHOUT_EFFECT}
    if not known or given.get("add_special_tokens") not in (None, True):
        raise OptionError(
            f"{name}={shown(value)} is not available.",
            hint=f"Give a dict with {' and '.join(_OF_TOKENIZER)}, or these as options.",
        )
    return {key: given[key] for key in _OF_TOKENIZER if key in given}


_OF_TOKENIZER = ("truncation", "max_length")
_WITHOUT_EFFECT = ("padding", "add_special_tokens")


def _windows(name: str, value: Any) -> Mapping[str, Any]:
    if value not in (False, None):
        warn(f"{name} is ignored: long texts are read completely, in windows.", UserWarning)
    return {}


CALL_RULES: Mapping[str, Rule] = {
    "batch_size": at_least(1),
    "num_workers": at_least(0),
    "padding": ignored,
    **dict.fromkeys(("pad_to_multiple_of", "padding_side", "verbose"), ignored),
    **dict.fromkeys(("return_token_type_ids", "return_attention_mask"), ignored),
    **dict.fromkeys(
        ("return_overflowing_tokens", "return_special_tokens_mask", "return_offsets_mapping"),
        only(None, False, hint="Leave it out, or load tokenizer.json with tokenizers.Tokenizer."),
    ),
    "return_length": ignored,
    "add_special_tokens": only(None, True, hint="Leave it out: the model defines them."),
    "is_split_into_words": only(None, False, hint="Join the words with spaces."),
    "truncation": _windows,
    "return_tensors": only(False, None, hint="Leave it out: answers are plain Python values."),
}
"""Rules for arguments of all tasks, where the task has no option of the name."""


def adapt(
    arguments: Mapping[str, Any], rules: Mapping[str, Rule], known: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call, converted by rules.

    Args:
        arguments: Options, and fields of an input.
        rules: Rules of the task, by name of the argument.
        known: Options and fields of the task, which `CALL_RULES` do not concern.

    Raises:
        OptionError: A rule refuses an argument.
    """
    found: dict[str, Any] = {}
    given = {name for name, value in arguments.items() if value is not None}
    for name, value in arguments.items():
        rule = rules.get(name) or (None if name in known else CALL_RULES.get(name))
        made = {name: value} if rule is None else rule(name, value)
        # An old name yields to the new one beside it.
        found |= {new: one for new, one in made.items() if new == name or new not in given}
    return found


def shown(value: Any) -> str:
    """A value as messages show it: shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"

"""What callers pass is checked once, with one clear error."""

from __future__ import annotations

from typing import Any

import pytest

from nlplug.errors import InputError, OptionError
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.validation import make_input, make_options, split_arguments


class Mood(SequenceClassificationTask):
    name = "mood"
    title = "Mood"
    description = "The mood of a text."


TASK = Mood()


def test_a_string_fills_the_first_field() -> None:
    assert make_input(TASK, "fine").model_dump() == {"text": "fine", "text_pair": None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "cannot take int 5"),
        (b"fine", "cannot take bytes"),
        ({"txt": "fine"}, "text"),
        ({"text": 5}, "text is 5"),
        ({"text": "a", "extra": 1}, "'extra'"),
        ({}, "lacks 'text'"),
    ],
)
def test_a_bad_input_is_named_with_its_value(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_input(TASK, value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"topk": 1}, "no option 'topk'", "'top_k'"),
        ({"top_k": 0}, "top_k is 0", "greater than or equal to 1"),
        ({"top_k": "many"}, "top_k is 'many'", "integer"),
        ({"function_to_apply": "relu"}, "function_to_apply is 'relu'", "softmax"),
    ],
)
def test_a_bad_option_is_named_with_a_hint(values: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        make_options(TASK, values)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_arguments_are_fields_or_options() -> None:
    fields, options = split_arguments(TASK, {"text": "a", "top_k": 2})
    assert (fields, options) == ({"text": "a"}, {"top_k": 2})


def test_a_huge_value_is_shortened_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        make_input(TASK, {"text": ["x"] * 100_000})
    assert len(caught.value.message) < 300

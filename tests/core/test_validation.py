"""What callers pass is checked once, with one clear error."""

from __future__ import annotations

from typing import Any

import pytest

from nlplug.errors import InputError, OptionError
from nlplug.families.causal_lm import CausalTask
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.task import Task
from nlplug.validation import make_input, make_options, split_arguments


class Mood(SequenceClassificationTask):
    name = "mood"
    title = "Mood"
    description = "The mood of a text."


class Tale(CausalTask):
    name = "tale"
    title = "Tale"
    description = "How a tale goes on."


class Rewriting(Seq2SeqTask):
    name = "rewriting"
    title = "Rewriting"
    description = "The same in other words."


TASK = Mood()
CHAT = [{"role": "user", "content": "Hello"}]


def test_a_string_fills_the_first_field() -> None:
    assert make_input(TASK, "fine").model_dump() == {"text": "fine", "text_pair": None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "cannot take 5 as an input"),
        (b"fine", "cannot take b'fine' as"),
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
        ({"text": "a"}, "no option 'text'", "a field of the input"),
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


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number(value: bool) -> None:
    with pytest.raises(OptionError, match=f"top_k is {value}") as caught:
        make_options(TASK, {"top_k": value})
    assert caught.value.hint == "Give a number."
    assert make_options(TASK, {"truncation": value})


def test_arguments_are_fields_or_options() -> None:
    fields, options = split_arguments(TASK, {"text": "a", "top_k": 2})
    assert (fields, options) == ({"text": "a"}, {"top_k": 2})


def test_a_huge_value_is_shortened_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        make_input(TASK, {"text": ["x"] * 100_000})
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("task", "value", "words"),
    [
        (TASK, "\ud800", r"text holds the lone surrogate '\\ud800' at character 0"),
        (TASK, {"text": "a", "text_pair": "12 \udcff"}, "text_pair holds .* at character 3"),
        (TASK, TASK.Input(text="\ud800"), "text holds"),
        (Rewriting(), "… \udfff", "text holds"),
        (Tale(), [*CHAT, {"role": "user", "content": "\ud800"}], "text.1.content holds"),
        (Tale(), [{**CHAT[0], "\ud800": 1}], "text.0 holds"),
        (Tale(), [{**CHAT[0], "more": {"\ud800": 1}}], "a name in text.0.more holds"),
        (Tale(), [{**CHAT[0], "tools": [{"name": "\ud800"}]}], "text.0.tools.0.name holds"),
    ],
)
def test_a_lone_surrogate_anywhere_in_an_input_is_refused(
    task: Task, value: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        make_input(task, value)
    assert "right encoding" in str(caught.value.hint)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stop": ["x", "\ud800"]}, "stop.1 holds the lone surrogate"),
        ({"bad_words": ["\udfff"]}, "bad_words.0 holds"),
    ],
)
def test_a_lone_surrogate_in_an_option_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_options(Rewriting(), values)


def test_what_is_nested_to_any_depth_is_looked_at() -> None:
    deep: Any = "\ud800"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InputError, match="surrogate"):
        make_input(Tale(), [{**CHAT[0], "more": deep}])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([{"role": "user", "content": 5}], "text.0.content is 5"),
        ([*CHAT, {"role": "user"}], "lacks 'text.1.content'"),
        ([], r"text is \[\]"),
        (5, "text is 5"),
    ],
)
def test_the_path_of_a_problem_has_no_names_of_types(value: Any, path: str) -> None:
    with pytest.raises(InputError, match=path):
        make_input(Tale(), {"text": value})


def test_the_hint_is_what_the_option_says_and_nothing_more() -> None:
    with pytest.raises(OptionError) as caught:
        make_options(Rewriting(), {"stop": [""]})
    assert caught.value.hint == "An empty text is not allowed."

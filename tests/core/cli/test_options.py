"""A task's pydantic models become command-line options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.cli._options import given, model_options
from nlplug.task import TaskOptions


class Options(TaskOptions):
    top_k: int | None = Field(default=1, ge=1, description="How many.")
    apply: Literal["softmax", "none"] | None = None
    threshold: float = 0.5
    deep: bool = False
    stop: list[str] = Field(default_factory=list)
    prefix: str | None = None
    sizes: list[Literal["s", "m"]] = Field(default_factory=list)


def parse(*arguments: str) -> dict[str, Any]:
    """The options that a command line gives."""
    seen: dict[str, Any] = {}
    command = click.Command(
        "x", params=[*model_options(Options)], callback=lambda **values: seen.update(given(values))
    )
    result = CliRunner().invoke(command, list(arguments))
    if result.exit_code:
        raise ValueError(result.output)
    return seen


def test_fields_that_only_python_can_give_are_no_options() -> None:
    class Constrained(Options):
        allowed: SkipJsonSchema[Callable[[str], bool] | None] = None

    names = [option.name for option in model_options(Constrained)]
    assert names == list(Options.model_fields)


def test_options_that_are_not_given_stay_out() -> None:
    assert parse() == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--top-k", "3"), {"top_k": 3}),
        (("--top-k", "none"), {"top_k": None}),
        (("--apply", "none"), {"apply": "none"}),
        (("--threshold", "0.25"), {"threshold": 0.25}),
        (("--deep",), {"deep": True}),
        (("--no-deep",), {"deep": False}),
        (("--stop", "a", "--stop", "b"), {"stop": ["a", "b"]}),
        (("--sizes", "s, m", "--sizes", "m"), {"sizes": ["s, m", "m"]}),
        (("--prefix", "none"), {"prefix": "none"}),
    ],
)
def test_values_have_the_type_of_the_field(
    arguments: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert parse(*arguments) == expected


@pytest.mark.parametrize(
    "arguments", [("--top-k", "many"), ("--apply", "relu"), ("--threshold", "x")]
)
def test_values_of_the_wrong_type_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Invalid value"):
        parse(*arguments)


def test_help_names_the_default() -> None:
    command = click.Command("x", params=[*model_options(Options)])
    text = CliRunner().invoke(command, ["--help"]).output
    assert "How many." in text
    assert "[default: 1]" in " ".join(text.split())
    assert "Undefined" not in text


def test_each_part_of_a_list_between_commas_is_one_of_the_choices() -> None:
    with pytest.raises(ValueError, match="'l' is not one of"):
        parse("--sizes", "s,l")

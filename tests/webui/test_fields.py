"""From declared fields to controls, and from what a form holds to what a task is given."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from nlplug import Display, PluginHost, Task, TaskInput, TaskOptions
from nlplug.errors import InputError, OptionError
from nlplug.families.family import Family
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug_webui.fields import (
    UNSET,
    Control,
    Kind,
    for_model,
    input_controls,
    input_values,
    option_controls,
    option_values,
)

TASKS = PluginHost.discover().tasks()


class Case(StrEnum):
    KEEP = "keep"
    UPPER = "upper"


class Options(TaskOptions):
    mode: Literal["fast", "good"] = "fast"
    activation: Literal["softmax", "none"] | None = None
    case: Case = Case.KEEP
    threshold: float = Field(0.5, ge=0, le=1, description="Leave out what scores less.")
    stride: int = Field(64, ge=0, le=4096)
    beams: int = Field(1, gt=0)
    limit: int | None = Field(None, ge=1, le=100)
    verbose: bool = False
    sampling: bool | None = None
    prefix: str = ""
    language: str | None = None
    stop: list[str] = Field(default_factory=list)
    weights: dict[str, float] | None = None
    seed: int = Field(
        7,
        json_schema_extra={
            "advanced": True,
            "zh": {"title": "种子", "description": "随机数种子。"},
        },
    )


class Question(TaskInput):
    question: str
    context: str
    labels: list[str]
    hint: str | None = None


class Made(Task):
    name: ClassVar[str] = "made"
    title: ClassVar[Any] = "Made"
    description: ClassVar[Any] = ""
    hub_task: ClassVar[str] = "made"
    Input: ClassVar[type[TaskInput]] = Question
    Options: ClassVar[type[TaskOptions]] = Options
    Output: ClassVar[Any] = list
    family: ClassVar[Family] = Family("made")
    display: ClassVar[Display] = Display.TEXT

    def load(self, bundle: Any, **settings: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def options() -> dict[str, Control]:
    return {control.name: control for control in option_controls(Made())}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mode", Kind.CHOICE),
        ("activation", Kind.CHOICE),
        ("case", Kind.CHOICE),
        ("threshold", Kind.SLIDER),
        ("stride", Kind.SLIDER),
        ("beams", Kind.NUMBER),
        ("limit", Kind.NUMBER),
        ("verbose", Kind.SWITCH),
        ("sampling", Kind.CHOICE),
        ("prefix", Kind.TEXT),
        ("language", Kind.TEXT),
        ("stop", Kind.LIST),
        ("weights", Kind.JSON),
    ],
)
def test_each_type_has_its_control(options: dict[str, Control], name: str, kind: Kind) -> None:
    assert options[name].kind is kind


def test_a_slider_may_end_below_the_largest_valid_value() -> None:
    class Long(TaskOptions):
        tokens: int = Field(5, ge=1, le=10**6, json_schema_extra={"slider": 100})

    class Made2(Made):
        Options: ClassVar[type[TaskOptions]] = Long

    [control] = option_controls(Made2())
    assert (control.kind, control.low, control.high) == (Kind.SLIDER, 1, 100)


def test_sliders_have_the_declared_bounds(options: dict[str, Control]) -> None:
    assert (options["threshold"].low, options["threshold"].high) == (0, 1)
    assert options["threshold"].step == 0.01
    assert (options["stride"].low, options["stride"].high, options["stride"].step) == (0, 4096, 1)


def test_an_optional_choice_offers_the_default_first(options: dict[str, Control]) -> None:
    assert options["activation"].named_choices("en") == [
        ("default", UNSET),
        ("softmax", "softmax"),
        ("none", "none"),
    ]
    assert options["sampling"].named_choices("zh") == [
        ("默认", UNSET),
        ("是", "true"),
        ("否", "false"),
    ]


@pytest.mark.parametrize("texts", [["a", "b c"], ["\n"], ["one, two", "["], [" x"], []])
def test_a_list_of_any_texts_is_read_from_the_form_as_it_was_put_there(
    options: dict[str, Control], texts: list[str]
) -> None:
    stop = options["stop"]
    assert (stop.from_form(stop.to_form(texts)) or []) == texts


def test_help_and_bounds_are_told(options: dict[str, Control]) -> None:
    assert options["threshold"].help["en"] == "Leave out what scores less."
    assert options["limit"].help["en"] == "From 1 to 100."
    assert options["beams"].help["zh"] == "不小于 1。"


def test_chinese_texts_come_from_the_field(options: dict[str, Control]) -> None:
    seed = options["seed"]
    assert (seed.title["zh"], seed.help["zh"]) == ("种子", "随机数种子。")
    assert seed.title["en"] == "Seed"
    assert seed.advanced


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_field_of_the_tasks_has_a_title_and_a_description_in_both_languages(
    task: Task,
) -> None:
    fields = {**task.Input.model_fields, **task.Options.model_fields}
    assert [name for name, info in fields.items() if not (info.title and info.description)] == []
    controls = [*input_controls(task), *option_controls(task)]
    assert controls
    for control in controls:
        declared = fields[control.name]
        assert control.title["en"] == declared.title
        assert control.help["en"].startswith(str(declared.description))
        # A title is written for people: no underscore, a capital first.
        assert "_" not in control.title["en"] and control.title["en"][0].isupper()
        assert control.title["zh"] and control.help["zh"]
        assert control.help["zh"] != control.help["en"]


def test_what_only_python_can_give_has_no_control() -> None:
    class Constrained(Options):
        allowed: SkipJsonSchema[Callable[[str], bool] | None] = None

    class Task(SequenceClassificationTask):
        name = "constrained"
        title = "Constrained"
        description = "Has an option that is a function."
        Options = Constrained

    assert [one.name for one in option_controls(Task())] == list(Options.model_fields)


def test_an_untouched_form_gives_no_option() -> None:
    controls = option_controls(Made())
    assert option_values(controls, [c.to_form(c.initial) for c in controls]) == {}


def test_changed_options_are_given_as_python_values() -> None:
    controls = option_controls(Made())
    form = {c.name: c.to_form(c.initial) for c in controls}
    form |= {
        "mode": "good",
        "activation": "softmax",
        "case": "upper",
        "stride": 128.0,
        "limit": 3,
        "sampling": "false",
        "stop": "END, ###\nstop",
        "weights": '{"a": 1.5}',
    }
    assert option_values(controls, list(form.values())) == {
        "mode": "good",
        "activation": "softmax",
        "case": "upper",
        "stride": 128,
        "limit": 3,
        "sampling": False,
        "stop": ["END", "###", "stop"],
        "weights": {"a": 1.5},
    }


def test_an_emptied_number_is_its_default_again() -> None:
    controls = option_controls(Made())
    form = {c.name: c.to_form(c.initial) for c in controls}
    form |= {"beams": None, "limit": None}
    assert option_values(controls, list(form.values())) == {}


def test_json_that_is_none_is_an_option_error() -> None:
    controls = option_controls(Made())
    form = {c.name: c.to_form(c.initial) for c in controls} | {"weights": "{a: 1}"}
    with pytest.raises(OptionError, match="'weights' is not JSON"):
        option_values(controls, list(form.values()))


def test_inputs_keep_required_fields_and_leave_out_empty_optional_ones() -> None:
    controls = input_controls(Made())
    assert [c.kind for c in controls] == [Kind.TEXT, Kind.TEXT, Kind.LIST, Kind.TEXT]
    assert input_values(controls, ["", "a page", "x, y", ""]) == {
        "question": "",
        "context": "a page",
        "labels": ["x", "y"],
    }


def test_json_inputs_that_are_none_are_input_errors() -> None:
    control = Control("table", Kind.JSON, default=...)
    with pytest.raises(InputError, match="'table' is not JSON"):
        input_values([control], ["["])


def test_bars_start_with_several_labels() -> None:
    class Labels(SequenceClassificationTask):
        name = "labels"
        title: ClassVar[Any] = "Labels"
        description: ClassVar[Any] = ""

    top_k = next(one for one in option_controls(Labels()) if one.name == "top_k")
    assert (top_k.name, top_k.initial, top_k.default) == ("top_k", 5, 1)
    assert option_values([top_k], [5]) == {"top_k": 5}


def test_a_model_may_want_other_defaults() -> None:
    controls = for_model(option_controls(Made()), {"threshold": 0.3, "stop": ["END"], "alien": 1})
    form = {c.name: c.to_form(c.initial) for c in controls}
    assert (form["threshold"], form["stop"]) == (0.3, "END")
    assert option_values(controls, list(form.values())) == {}
    declared = form | {"threshold": 0.5}
    assert option_values(controls, list(declared.values())) == {"threshold": 0.5}


def test_beside_a_question_the_document_has_more_lines() -> None:
    lines = {control.name: control.lines for control in input_controls(Made())}
    assert lines["context"] > lines["hint"] > lines["question"] == 1

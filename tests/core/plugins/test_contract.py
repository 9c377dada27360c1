"""The task contract: each part of a declaration is checked when the plugin loads."""

from __future__ import annotations

from inspect import signature

import pytest

from nlplug import pipeline
from nlplug.errors import PluginError
from nlplug.plugins.contract import RESERVED_OPTIONS

from .conftest import Write

TASK = """
class Tried(Plain):
    {body}


@hookimpl
def register_tasks():
    return [Tried()]
"""

MODEL = """
from pathlib import Path

@hookimpl
def register_models():
    return [{spec}]
"""


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("name = 'Plain Task'", "Tried.name: 'Plain Task' is not a task name"),
        ("name = None", "Tried.name: None is not a task name"),
        ("title = ''", "Tried.title: '' is not a text"),
        ("title = {}", "Tried.title: {} is not a text"),
        ("title = {'en': 3}", "Tried.title: {'en': 3} is not a text"),
        ("description = 7", "Tried.description: 7 is not a text"),
        ("hub_task = 'Text Classification'", "Tried.hub_task: 'Text Classification'"),
        ("Input = dict", "Tried.Input: <class 'dict'> is not a subclass of nlplug.TaskInput"),
        ("Input = TaskInput", "Tried.Input: TaskInput has no field"),
        ("Options = dict", "Tried.Options: <class 'dict'> is not a subclass"),
        ("class Options(TaskOptions):\n        k: int", "Tried.Options: k has no default"),
        (
            "class Options(TaskOptions):\n        text: str = ''",
            "Tried.Options: text is a field of Input as well",
        ),
        (
            "class Options(TaskOptions):\n        model: str = ''",
            "Tried.Options: model is an argument of nlplug.pipeline",
        ),
        ("Output = 3", "Tried.Output: "),
        ("display = 'hologram'", "Tried.display: 'hologram' is no Display"),
        ("examples = 'text'", "Tried.examples: 'text' is not a list of examples"),
        ("examples = ['text']", "Tried.examples: number 1 is 'text'"),
        (
            "examples = [Example({'text': 'a'}), Example({'txt': 'a'})]",
            "Tried.examples: number 2 does not validate: ",
        ),
        (
            "examples = [Example({'text': 'a'}, {'top_k': 3})]",
            "Tried.examples: number 1 does not validate: ",
        ),
        ("default_model = 3", "Tried.default_model: 3 is not a model's name"),
        ("family = 'mine'", "Tried.family: 'mine' is not a family"),
        (
            "family = Family('mine', training='nlplug.train')",
            "Tried.family: training is 'nlplug.train', which is no 'module:name'",
        ),
        (
            "family = Family('mine', scoring=dict)",
            "Tried.family: scoring is <class 'dict'>, which is no 'module:name'",
        ),
    ],
)
def test_a_wrong_declaration_is_named(write: Write, body: str, cause: str) -> None:
    with pytest.raises(PluginError) as caught:
        write(TASK.format(body=body)).load("plain")

    assert cause in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("attribute", ["name", "title", "description", "hub_task", "display"])
def test_what_a_task_must_say_and_does_not(write: Write, attribute: str) -> None:
    source = f"\ndel Plain.{attribute}\n" + TASK.format(body="pass")

    with pytest.raises(PluginError, match=rf"Tried\.{attribute}: None is no"):
        write(source).load("plain")


def test_an_output_that_is_not_set(write: Write) -> None:
    with pytest.raises(PluginError, match=r"Tried\.Output: it is not set"):
        write("\ndel Plain.Output\n" + TASK.format(body="pass")).load("plain")


def test_a_task_that_cannot_be_bound(write: Write) -> None:
    with pytest.raises(PluginError, match="Can't instantiate abstract class Tried"):
        write(TASK.format(body="pass").replace("Tried(Plain)", "Tried(Task)")).load("plain")


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ("'a/b'", "'a/b' of type str, which is not a model"),
        ("ModelSpec('a/b', 'plain', hub_id='a/b')", "its name is 'a/b'"),
        ("ModelSpec('m', '', hub_id='a/b')", "model 'm': its task is ''"),
        ("ModelSpec('m', 'plain')", "model 'm': path is None and hub_id is None"),
        ("ModelSpec('m', 'plain', Path(), 'a/b')", "and hub_id is 'a/b'"),
        ("ModelSpec('m', 'plain', 'folder')", "model 'm': path is 'folder'"),
    ],
)
def test_a_wrong_model_is_named(write: Write, spec: str, cause: str) -> None:
    with pytest.raises(PluginError) as caught:
        write(MODEL.format(spec=spec)).load("plain")

    assert cause in caught.value.message
    assert caught.value.hint


def test_the_reserved_names_of_options_are_the_arguments_of_pipeline() -> None:
    found = signature(pipeline).parameters.values()
    named = [one.name for one in found if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]

    assert sorted(named) == sorted(RESERVED_OPTIONS)


def test_a_complete_declaration_loads(write: Write) -> None:
    body = "examples = [Example({'text': 'a'})]; title = {'en': 'A', 'zh': '甲'}"

    assert write(TASK.format(body=body)).task("plain").title == {"en": "A", "zh": "甲"}

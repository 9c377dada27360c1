"""The Hugging Face Inference shapes: what `huggingface_hub.InferenceClient` sends and expects.

One table, `SHAPES`, says what differs between the Hub's tasks; a task that is not in it is answered
in the plain way. Reference: https://huggingface.co/docs/inference-providers/tasks/index
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlplug.errors import InputError, OptionError
from nlplug.validation import make_input, make_options

if TYPE_CHECKING:
    from nlplug.task import Task, TaskInput

# Older clients send these beside the inputs; here a model is always waited for and never cached.
_IGNORED = frozenset({"options"})


@dataclass(frozen=True)
class Call:
    """One request, checked.

    Attributes:
        inputs: The inputs.
        options: The task's options, as the request gives them or the protocol presets them.
        single: Whether the request holds one input and not a list.
    """

    inputs: list[TaskInput]
    options: dict[str, Any]
    single: bool


@dataclass(frozen=True)
class Shape:
    """How the answers of one Hub task become a reply.

    Attributes:
        reply: Makes the reply from one answer an input.
        presets: Options whose default differs here from the task's own.
        schema: Makes the JSON schema of the reply from that of one answer.
    """

    reply: Callable[[list[Any], Call], Any]
    presets: Mapping[str, Any] = field(default_factory=dict)
    schema: Callable[[dict[str, Any]], dict[str, Any]] = lambda one: {
        "anyOf": [one, {"type": "array", "items": one}]
    }


def _plain(answers: list[Any], call: Call) -> Any:
    return answers[0] if call.single else answers


def _nested(answers: list[Any], call: Call) -> Any:
    # The client takes the first element of the reply for its one text: a flat list would silently
    # lose all labels but the first.
    return answers


SHAPES: dict[str, Shape] = {
    "text-classification": Shape(
        _nested,
        presets={"top_k": None},  # the Hub answers with all labels
        schema=lambda one: {"type": "array", "items": one},
    ),
}
_PLAIN = Shape(_plain)


def shape_of(task: Task) -> Shape:
    """How replies of this task look."""
    return SHAPES.get(task.hub_task, _PLAIN)


def parse(body: Any, task: Task) -> Call:
    """Check the body of a request.

    Args:
        body: ``{"inputs": str | dict | list of these, "parameters": {…}}``.
        task: The task that it is for.

    Raises:
        InputError: The body or an input is malformed; the message begins with the field's path.
        OptionError: A parameter is unknown, of the wrong type, or out of its bounds.
    """
    if not isinstance(body, dict):
        raise InputError(
            f"The body is {_kind(body)}, not an object.",
            hint='Send {"inputs": "…", "parameters": {}}.',
        )
    if "inputs" not in body:
        raise InputError(
            "inputs: the body has no such field.", hint='Send {"inputs": "…", "parameters": {}}.'
        )
    for name in body:
        if name not in {"inputs", "parameters"} | _IGNORED:
            raise InputError(
                f"{name}: the body cannot have this field.",
                hint="Options of the task belong under parameters.",
            )
    raw = body["inputs"]
    single = not isinstance(raw, list)
    inputs = (
        [_input(task, raw, "inputs")]
        if single
        else [_input(task, value, f"inputs.{index}") for index, value in enumerate(raw)]
    )
    return Call(inputs, _options(task, body.get("parameters")), single)


def reply(task: Task, answers: list[Any], call: Call) -> Any:
    """The reply to a request, from one answer an input."""
    return shape_of(task).reply(answers, call)


def _input(task: Task, value: Any, path: str) -> TaskInput:
    try:
        return make_input(task, value)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from None


def _options(task: Task, parameters: Any) -> dict[str, Any]:
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise InputError(
            f"parameters: this is {_kind(parameters)}, not an object.",
            hint='Send {"parameters": {"name": value}}.',
        )
    presets = {
        name: value
        for name, value in shape_of(task).presets.items()
        if name in task.Options.model_fields
    }
    options = presets | parameters
    try:
        make_options(task, options)
    except OptionError as error:
        raise OptionError(f"parameters: {error.message}", hint=error.hint) from None
    return options


def _kind(value: Any) -> str:
    names = {str: "a string", list: "an array", bool: "a boolean", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")

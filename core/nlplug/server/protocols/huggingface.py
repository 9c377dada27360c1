"""The Hugging Face Inference shapes: what `huggingface_hub.InferenceClient` sends and expects.

One table, `SHAPES`, says what differs between the Hub's tasks; a task that is not in it is answered
in the plain way. Reference: https://huggingface.co/docs/inference-providers/tasks/index
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlplug.errors import InputError, OptionError
from nlplug.server.protocols import text_generation
from nlplug.task import python_only
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
        stream: Whether the answer is to come piece by piece.
        details: Whether the reply is to say how the text came about.
    """

    inputs: list[TaskInput]
    options: dict[str, Any]
    single: bool
    stream: bool = False
    details: bool = False


@dataclass(frozen=True)
class Shape:
    """How the answers of one Hub task become a reply.

    Attributes:
        reply: Makes the reply from one answer an input.
        presets: Options whose default differs here from the task's own.
        accept: From the parameters of a request, and the task's own options, to options.
        details: Whether a reply can be asked to say how it came about.
        schema: Makes the JSON schema of the reply from that of one answer.
    """

    reply: Callable[[list[Any], Call], Any]
    presets: Mapping[str, Any] = field(default_factory=dict)
    accept: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] = (
        lambda parameters, known: dict(parameters)
    )
    details: bool = False
    schema: Callable[[dict[str, Any]], dict[str, Any]] = lambda one: {
        "anyOf": [one, {"type": "array", "items": one}]
    }


def _plain(answers: list[Any], call: Call) -> Any:
    return answers[0] if call.single else answers


def _nested(answers: list[Any], call: Call) -> Any:
    # The client takes the first element of the reply for its one text: a flat list would silently
    # lose all labels but the first.
    return answers


def _texts(answers: list[Any], call: Call) -> Any:
    # One text an input is the common case, which is a flat list.
    if all(isinstance(answer, list) and len(answer) == 1 for answer in answers):
        return [answer[0] for answer in answers]
    return _plain(answers, call)


def _generating(parameters: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options of decoding out of ``generate_parameters``, where clients put them."""
    options = dict(parameters)
    more = options.pop("generate_parameters", None) or {}
    if not isinstance(more, dict):
        raise InputError(
            f"parameters: generate_parameters is {_kind(more)}, not an object.",
            hint='Send {"generate_parameters": {"num_beams": 4}}.',
        )
    return {**more, **options}


_TEXT_TO_TEXT = Shape(_texts, accept=_generating)
SHAPES: dict[str, Shape] = {
    "text-classification": Shape(
        _nested,
        presets={"top_k": None},  # the Hub answers with all labels
        schema=lambda one: {"type": "array", "items": one},
    ),
    "text-generation": Shape(
        _plain,
        presets={"return_full_text": False},  # the Hub leaves the prompt out
        accept=text_generation.accept,
        details=True,
    ),
    "translation": _TEXT_TO_TEXT,
    "summarization": _TEXT_TO_TEXT,
    "text2text-generation": _TEXT_TO_TEXT,
}
_PLAIN = Shape(_plain)


def shape_of(task: Task) -> Shape:
    """How replies of this task look."""
    return SHAPES.get(task.hub_task, _PLAIN)


def parse(body: Any, task: Task) -> Call:
    """Check the body of a request.

    Args:
        body: ``{"inputs": str | dict | list of these, "parameters": {…}, "stream": bool}``.
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
        if name not in {"inputs", "parameters", "stream"} | _IGNORED:
            raise InputError(
                f"{name}: the body cannot have this field.",
                hint="Options of the task belong under parameters.",
            )
    raw = task.wrap(body["inputs"])
    single = not isinstance(raw, list)
    inputs = (
        [_input(task, raw, "inputs")]
        if single
        else [_input(task, value, f"inputs.{index}") for index, value in enumerate(raw)]
    )
    stream = _stream(task, body.get("stream"), single)
    parameters = _parameters(body.get("parameters"))
    details = shape_of(task).details and text_generation.wants_details(parameters)
    options = _options(task, parameters)
    if details and "details" in task.Options.model_fields:
        options["details"] = True
        details = stream  # its answers can tell more than its pieces
    if details and not (single and task.streams):
        raise InputError(
            "parameters: details are told of one input at a time.",
            hint="Send one input, or leave details out.",
        )
    return Call(inputs, options, single, stream, details)


def reply(task: Task, answers: list[Any], call: Call) -> Any:
    """The reply to a request, from one answer an input."""
    return shape_of(task).reply(answers, call)


def _input(task: Task, value: Any, path: str) -> TaskInput:
    try:
        return make_input(task, value)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from None


def _stream(task: Task, wanted: Any, single: bool) -> bool:
    if wanted is None or wanted is False:
        return False
    if wanted is not True:
        raise InputError(f"stream: this is {_kind(wanted)}.", hint="Send true or false.")
    if not task.streams:
        raise InputError(
            f"stream: the answers of the task {task.name!r} come whole, not piece by piece.",
            hint="Leave stream out.",
        )
    if not single:
        raise InputError(
            "stream: one input is streamed at a time, and this is a list.",
            hint="Send one input, or leave stream out.",
        )
    return True


def _parameters(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InputError(
            f"parameters: this is {_kind(parameters)}, not an object.",
            hint='Send {"parameters": {"name": value}}.',
        )
    return dict(parameters)


def _options(task: Task, parameters: dict[str, Any]) -> dict[str, Any]:
    shape = shape_of(task)
    hidden = python_only(task.Options)
    known = {k: v for k, v in task.Options.model_fields.items() if k not in hidden}
    presets = {name: value for name, value in shape.presets.items() if name in known}
    options = presets | shape.accept(parameters, known)
    for name in hidden:
        if name in options:
            raise OptionError(
                f"parameters: The task {task.name!r} has no option {name!r} over HTTP.",
                hint="It can be given in Python alone.",
            )
    try:
        make_options(task, options)
    except OptionError as error:
        raise OptionError(f"parameters: {error.message}", hint=error.hint) from None
    return options


def _kind(value: Any) -> str:
    names = {str: "a string", list: "an array", bool: "a boolean", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")

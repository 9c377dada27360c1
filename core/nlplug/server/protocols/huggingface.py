"""The formats of Hugging Face Inference: what `huggingface_hub.InferenceClient` sends and expects.

The record of a family names the format of its replies. Reference:
https://huggingface.co/docs/inference-providers/tasks/index
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nlplug.arguments import named_inputs
from nlplug.errors import InputError, OptionError
from nlplug.families.family import load
from nlplug.heard_warnings import heard
from nlplug.json_text import json_shown
from nlplug.server.protocols import text_generation
from nlplug.server.protocols.shapes import Call, Shape
from nlplug.task import python_only
from nlplug.validation import make_input, make_options, merge_options

if TYPE_CHECKING:
    from nlplug.server.limits import Limits
    from nlplug.task import Task, TaskInput

# Older clients send these with the inputs. They have no effect here: requests always wait for the
# model, and answers are never cached.
_IGNORED = frozenset({"options"})


def shape_of(task: Task) -> Shape:
    """The format of the replies of a task."""
    shape: Shape = load(task.family.hub_shape)
    return shape


def parse(
    body: Any,
    task: Task,
    limits: Limits,
    *,
    agent: str = "",
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Call:
    """Check the body of a request.

    Args:
        body: ``{"inputs": str | dict | list of these, "parameters": {…}, "stream": bool}``.
        task: The task.
        limits: The limits of a request.
        agent: The name of the client.
        defaults: Default options of the model.

    Raises:
        InputError: The body or an input is malformed; the message begins with the field's path.
        OptionError: A parameter is unknown, of the wrong type, or out of its bounds.
        RequestTooLarge: The request exceeds the limits.
    """
    if not isinstance(body, dict):
        raise InputError(
            f"The body is {json_shown(body)}; it should be an object.",
            hint='Send {"inputs": "…", "parameters": {}}.',
        )
    if "inputs" not in body:
        raise InputError(
            "inputs: the body has no such field.", hint='Send {"inputs": "…", "parameters": {}}.'
        )
    shape = shape_of(task)
    beside = shape.beside
    for name in body:
        if name not in {"inputs", "parameters", "stream", "warnings"} | _IGNORED | beside:
            raise InputError(
                f"{name or json_shown(name)}: the body cannot have this field.",
                hint="Options of the task belong under parameters.",
            )
    parameters = _parameters(body.get("parameters"))
    parameters = {name: body[name] for name in beside if body.get(name) is not None} | parameters
    details = shape.details and text_generation.wants_details(parameters)
    variant = shape.variant(body["inputs"])
    if variant is None:
        raw, parameters = named_inputs(task, body["inputs"], (), parameters)
        raw = task.wrap(raw)
    else:
        raw = list(variant.inputs.values())
    limits.check_inputs(raw)
    single = not isinstance(raw, list)
    paths = (
        ({"inputs": raw} if single else {f"inputs.{n}": value for n, value in enumerate(raw)})
        if variant is None
        else variant.inputs
    )
    inputs = [_input(task, value, path) for path, value in paths.items()]
    stream = _stream(task, _flag(body, "stream"), single)
    notices: list[str] = []
    with heard(notices):
        presets = {} if variant is None else variant.presets
        options = _options(task, parameters, presets, defaults)
    for name, value in ({} if variant is None else variant.excluded).items():
        if options.get(name) == value:
            raise OptionError(
                f"parameters: {name} cannot be {json_shown(value)} for these inputs.",
                hint=f"Leave {name} out.",
            )
    if details and "details" in task.Options.model_fields:
        options["details"] = True
        details = stream  # the whole answer has more than the pieces
    if details and not (single and task.family.streams):
        raise InputError(
            "parameters: details are only available for a single input.",
            hint="Send one input, or leave details out.",
        )
    warnings = _flag(body, "warnings")
    if warnings and stream:
        raise InputError(
            "warnings: a streamed answer has them in its headers only.", hint="Leave warnings out."
        )
    return Call(inputs, options, single, stream, details, warnings, agent, variant, notices)


def reply(task: Task, answers: list[Any], call: Call) -> Any:
    """The reply to a request, from one answer per input."""
    if call.variant is not None:
        return call.variant.reply(answers)
    return shape_of(task).reply(answers, call)


def _input(task: Task, value: Any, path: str) -> TaskInput:
    try:
        return make_input(task, value)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", hint=error.hint) from None


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise InputError(
            f"{name}: this is {json_shown(value)}; it should be true or false.",
            hint="Send true or false.",
        )
    return bool(value)


def _stream(task: Task, wanted: bool, single: bool) -> bool:
    if not wanted:
        return False
    if not task.family.streams:
        raise InputError(
            f"stream: the answers of the task {task.name!r} cannot be streamed.",
            hint="Leave stream out.",
        )
    if not single:
        raise InputError(
            "stream: only a single input can be streamed, and this is a list.",
            hint="Send one input, or leave stream out.",
        )
    return True


def _parameters(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InputError(
            f"parameters: this is {json_shown(parameters)}; it should be an object.",
            hint='Send {"parameters": {"name": value}}.',
        )
    return dict(parameters)


def _options(
    task: Task,
    parameters: dict[str, Any],
    presets: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    shape = shape_of(task)
    hidden = python_only(task.Options)
    known = {k: v for k, v in task.Options.model_fields.items() if k not in hidden}
    presets = {**shape.presets, **presets}
    presets = {name: value for name, value in presets.items() if name in known}
    accepted = shape.accept(parameters, known)
    for name in hidden:
        if name in accepted:
            raise OptionError(
                f"parameters: The task {task.name!r} has no option {name!r} over HTTP.",
                hint="It is only available in Python.",
            )
    try:
        options = presets | task.adapt(accepted)
        # With the defaults, because some options need others.
        made = make_options(task, merge_options(task, defaults, options))
    except OptionError as error:
        raise OptionError(f"parameters: {error.message}", hint=error.hint) from None
    # Converted, because limits compare numbers, and equal options share a batch.
    return {name: getattr(made, name) for name in options}

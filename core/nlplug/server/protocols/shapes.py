"""The formats of replies over HTTP; the record of a family names its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlplug.errors import InputError
from nlplug.json_text import json_shown

if TYPE_CHECKING:
    from nlplug.task import TaskInput


@dataclass(frozen=True)
class Call:
    """One request, checked.

    Attributes:
        inputs: The inputs.
        options: Options of the request, with the presets of the protocol.
        single: Whether the request has one input instead of a list.
        stream: Whether the answer is streamed.
        details: Whether the reply has details of the generation.
        warnings: Whether the reply is an object with the answer and the warnings about it.
    """

    inputs: list[TaskInput]
    options: dict[str, Any]
    single: bool
    stream: bool = False
    details: bool = False
    warnings: bool = False


@dataclass(frozen=True)
class Shape:
    """The format of the replies of a family.

    Attributes:
        reply: Builds the reply from the answers, one per input.
        presets: Options whose default differs from that of the task.
        accept: Converts the parameters of a request to options of the task.
        details: Whether requests may ask for details.
        schema: Builds the JSON schema of the reply from that of one answer.
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
    # Usually there is one text per input, and the reply is a flat list.
    if all(isinstance(answer, list) and len(answer) == 1 for answer in answers):
        return [answer[0] for answer in answers]
    return _plain(answers, call)


def _generating(parameters: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Move the options of decoding from ``generate_parameters``, where clients put them."""
    options = dict(parameters)
    more = options.pop("generate_parameters", None) or {}
    if not isinstance(more, dict):
        raise InputError(
            f"parameters: generate_parameters is {json_shown(more)}; it should be an object.",
            hint='Send {"generate_parameters": {"num_beams": 4}}.',
        )
    return {**more, **options}


PLAIN = Shape(_plain)
"""The answer to one input, or a list of answers."""
NESTED = Shape(
    _nested,
    presets={"top_k": None},  # the Hub returns all labels
    schema=lambda one: {"type": "array", "items": one},
)
"""One list of labels per input; all labels unless ``top_k`` is given."""
TEXTS = Shape(_texts, accept=_generating)
"""A list with one text per input."""

"""The formats of replies over HTTP; the record of a family names its format."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
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
        agent: The name of the client, as its header ``User-Agent`` has it.
        variant: The form of the request, if it is not the usual one.
        notices: Warnings about the parameters.
    """

    inputs: list[TaskInput]
    options: dict[str, Any]
    single: bool
    stream: bool = False
    details: bool = False
    warnings: bool = False
    agent: str = ""
    variant: Variant | None = None
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class Variant:
    """Another form of request that a family answers.

    Attributes:
        inputs: The inputs of the task, each with its path in the body.
        presets: Options whose default differs from that of the task.
        excluded: Values of options that this form cannot have.
        reply: Builds the reply from the answers, one per input.
    """

    inputs: Mapping[str, Any]
    presets: Mapping[str, Any]
    excluded: Mapping[str, Any]
    reply: Callable[[list[Any]], Any]


@dataclass(frozen=True)
class Shape:
    """The format of the replies of a family.

    Attributes:
        reply: Builds the reply from the answers, one per input.
        presets: Options whose default differs from that of the task.
        accept: Converts the parameters of a request to options of the task.
        details: Whether requests may ask for details.
        variant: Recognizes another form of request by its ``inputs``; None for the usual one.
        variant_schema: The JSON schema of ``inputs`` in that form.
        beside: Parameters that clients send beside ``inputs`` instead of under ``parameters``.
        schema: Builds the JSON schema of the reply from that of one answer.
    """

    reply: Callable[[list[Any], Call], Any]
    presets: Mapping[str, Any] = field(default_factory=dict)
    accept: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] = (
        lambda parameters, known: dict(parameters)
    )
    details: bool = False
    variant: Callable[[Any], Variant | None] = lambda inputs: None
    variant_schema: Mapping[str, Any] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    schema: Callable[[dict[str, Any]], dict[str, Any]] = lambda one: {
        "anyOf": [one, {"type": "array", "items": one}]
    }


def _plain(answers: list[Any], call: Call) -> Any:
    return answers[0] if call.single else answers


def _nested(answers: list[Any], call: Call) -> Any:
    # The client takes the first element of the reply for its one text: a flat list would silently
    # lose all labels but the first.
    return answers


# Clients before huggingface_hub 1.2 expect the answer of the pipeline.
_OLD_AGENT = re.compile(r"\bhf_hub/(?:0|1\.[01])\.")


def _ranked(answers: list[Any], call: Call) -> Any:
    if _OLD_AGENT.search(call.agent):
        return _plain(answers, call)
    ranked = [
        [
            {"label": label, "score": score}
            for label, score in zip(answer["labels"], answer["scores"], strict=True)
        ]
        for answer in answers
    ]
    return _plain(ranked, call)


def _ranked_schema(one: dict[str, Any]) -> dict[str, Any]:
    ranked = {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["label", "score"],
            "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
        },
    }
    forms = [one, ranked]
    return {"anyOf": [*forms, *({"type": "array", "items": form} for form in forms)]}


def _vectors(parameters: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Options of vectors under the names of Text Embeddings Inference, where they can be met."""
    options = dict(parameters)
    side = options.pop("truncation_direction", None)
    if side is not None and str(side).lower() != "right":
        raise InputError(
            f"truncation_direction is {side!r}.", hint="Texts are cut at their end: leave it out."
        )
    for name, hint in (
        ("prompt_name", "Write the prompt before the text."),
        ("dimensions", "The vectors have all dimensions of the model."),
    ):
        if options.pop(name, None) is not None:
            raise InputError(f"{name} is not available.", hint=f"{hint} Leave {name} out.")
    if (truncate := options.pop("truncate", None)) is not None:
        options.setdefault("truncation", truncate)
    return options


_PAIRED = {"source_sentence", "sentences"}


def _similarity(inputs: Any) -> Variant | None:
    """A sentence and others to compare it with: the answer is their cosines."""
    if not isinstance(inputs, dict) or not _PAIRED & inputs.keys():
        return None
    others = inputs.get("sentences")
    if inputs.keys() != _PAIRED or not isinstance(others, list):
        raise InputError(
            f"inputs: this is {json_shown(inputs)}.",
            hint='Send {"source_sentence": "…", "sentences": ["…", "…"]}.',
        )
    paths = {f"inputs.sentences.{index}": text for index, text in enumerate(others)}

    def cosines(vectors: list[list[float]]) -> list[float]:
        source, *found = vectors
        sizes = (math.hypot(*source) * math.hypot(*vector) for vector in found)
        return [
            sum(map(operator.mul, source, vector)) / size if size else 0.0
            for vector, size in zip(found, sizes, strict=True)
        ]

    return Variant(
        {"inputs.source_sentence": inputs["source_sentence"], **paths},
        {"pool": "auto"},
        {"pool": "none"},
        cosines,
    )


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
RANKED = Shape(_ranked, schema=_ranked_schema)
"""One list of all labels with their scores per input, best first."""
VECTORS = Shape(
    _plain,
    accept=_vectors,
    variant=_similarity,
    variant_schema={
        "type": "object",
        "required": sorted(_PAIRED),
        "additionalProperties": False,
        "properties": {
            "source_sentence": {"type": "string"},
            "sentences": {"type": "array", "items": {"type": "string"}},
        },
    },
    beside=frozenset(
        {"normalize", "truncate", "truncation_direction", "prompt_name", "dimensions"}
    ),
)
"""As `PLAIN`; clients send the options of vectors beside the inputs.

A sentence with others to compare it with gives one cosine for each of these.
"""
TEXTS = Shape(_texts, accept=_generating, details=True)
"""A list with one text per input, with details on request."""

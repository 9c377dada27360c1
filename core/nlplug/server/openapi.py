"""The OpenAPI document: one path per served name, with the schemas of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from nlplug.explanations.result import output_type
from nlplug.server.protocols.huggingface import shape_of
from nlplug.task import localize
from nlplug.version import __version__

if TYPE_CHECKING:
    from fastapi import FastAPI

    from nlplug.server.catalog import Catalog, Served
    from nlplug.task import Task

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "A setting of the server, such as its device, cannot be used.",
    "401": "The API key is missing or wrong.",
    "404": "No such model is served.",
    "408": "The body did not arrive in time.",
    "413": "The body, the inputs or the requested tokens exceed the limits.",
    "415": "The content encoding of the body is not gzip.",
    "421": "The name in the Host header is not a name of the server.",
    "422": "The inputs or parameters are malformed; the message begins with the field's path.",
    "429": "The queue is full; Retry-After says when to try again.",
    "503": "The queue would take longer than the time limit; Retry-After says when to try again.",
    "504": "The request took too long.",
}
_HEADERS = {
    "X-Nlplug-Warnings": {
        "description": "Warnings about the answer, such as texts in languages that the model does "
        "not know: a JSON list of texts.",
        "schema": {"type": "string"},
    },
    "X-Nlplug-Models": {
        "description": "Where the language of a text chooses the model: the number of texts by "
        "model, a JSON object.",
        "schema": {"type": "string"},
    },
}
_ERROR_SCHEMA = {
    "type": "object",
    "title": "Error",
    "required": ["error", "error_type"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong, with the value."},
        "error_type": {"type": "string"},
        "hint": {"type": "string", "description": "What to do."},
    },
}
_EVENT_SCHEMA = {
    "type": "object",
    "title": "Event",
    "description": "The data of one event; an error after the first is the last event.",
    "required": ["index", "token", "generated_text", "details"],
    "properties": {
        "index": {"type": "integer"},
        "token": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "description": "-1 for text without tokens."},
                "text": {
                    "type": "string",
                    "description": "Empty if further tokens are needed for the characters.",
                },
                "logprob": {
                    "anyOf": [{"type": "number"}, {"type": "null"}],
                    "description": "Only with details.",
                },
                "special": {"type": "boolean"},
            },
        },
        "generated_text": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "The whole text, only in the last event.",
        },
        "details": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "finish_reason": {"enum": ["eos_token", "stop_sequence", "length"]},
                        "generated_tokens": {"type": "integer"},
                        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    },
                },
                {"type": "null"},
            ],
        },
    },
}


def describe_app(app: FastAPI, catalog: Catalog, *, protected: bool) -> dict[str, Any]:
    """The OpenAPI document of an app and its served models.

    Args:
        app: The app, with its routes except those of the models.
        catalog: The served models.
        protected: Whether clients need an API key.
    """
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title="nlplug",
        version=__version__,
        description="The installed tasks as endpoints, in the formats of Hugging Face Inference.",
        routes=app.routes,
    )
    schemas: dict[str, Any] = {"Error": _ERROR_SCHEMA}
    for task in catalog.tasks():
        schemas |= _task_components(task)
    document["components"] = {"schemas": schemas}
    paths = document.setdefault("paths", {})
    for operations in paths.values():
        for operation in operations.values():
            # FastAPI's own format of a 422, which this server never sends.
            operation["responses"].pop("422", None)
    for served in catalog:
        paths[f"/models/{served.name}"] = {"post": _operation(served, f"ask-{served.name}")}
    if catalog.default is not None:
        paths.setdefault("/", {})["post"] = _operation(catalog.find(None), "ask-default")
    if protected:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def task_schemas(task: Task) -> dict[str, Any]:
    """Self-contained JSON schemas of a task's input, options and output."""
    return {
        "input": task.Input.model_json_schema(),
        "options": task.Options.model_json_schema(),
        "output": TypeAdapter(output_type(task)).json_schema(mode="serialization"),
    }


def _task_components(task: Task) -> dict[str, Any]:
    """The schemas of a task under unique names, because two tasks may have classes of one name."""
    prefix = _title(task.name)
    found: dict[str, Any] = {}
    for part, type_ in (
        ("Input", task.Input),
        ("Options", task.Options),
        ("Output", output_type(task)),
    ):
        schema = TypeAdapter(type_).json_schema(
            mode="serialization" if part == "Output" else "validation",
            ref_template=_REF.replace("{model}", f"{prefix}{part}.{{model}}"),
        )
        for name, definition in schema.pop("$defs", {}).items():
            found[f"{prefix}{part}.{name}"] = definition
        found[f"{prefix}{part}"] = schema
    # The arguments of transformers are accepted too; they are not listed.
    found[f"{prefix}Options"].pop("additionalProperties", None)
    properties = found[f"{prefix}Options"].get("properties", {})
    for name, value in shape_of(task).presets.items():
        if name in properties:
            properties[name]["default"] = value
    return found


def _request_body(task: Task) -> dict[str, Any]:
    """The media type of a request to a model: its schema, and the examples of the task."""
    prefix = _title(task.name)
    one = {"anyOf": [{"type": "string"}, _ref(f"{prefix}Input")]}
    body: dict[str, Any] = {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "inputs": {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]},
            "parameters": _ref(f"{prefix}Options"),
            "warnings": {
                "type": "boolean",
                "default": False,
                "description": "Reply with an object that has the answer as results, and warnings.",
            },
        },
    }
    if variant := shape_of(task).variant_schema:
        body["properties"]["inputs"]["anyOf"].append(dict(variant))
    for name in sorted(shape_of(task).beside):
        body["properties"][name] = {"description": f"Parameter {name} of the model."}
    if task.family.streams:
        body["properties"]["stream"] = {
            "type": "boolean",
            "default": False,
            "description": "Answer by server-sent events, one piece of the text each.",
        }
    content: dict[str, Any] = {"schema": body}
    if task.examples:
        content["examples"] = {
            f"example {number}": {
                "value": {"inputs": dict(example.input), "parameters": dict(example.options)}
            }
            for number, example in enumerate(task.examples, 1)
        }
    return content


def _operation(served: Served, operation_id: str) -> dict[str, Any]:
    task = served.task
    answer = shape_of(task).schema(_ref(f"{_title(task.name)}Output"))
    with_warnings = {
        "type": "object",
        "required": ["results", "warnings"],
        "properties": {
            "results": answer,
            "warnings": {"type": "array", "items": {"type": "string"}},
        },
    }
    both = {"anyOf": [answer, with_warnings]}
    replies: dict[str, Any] = {"application/json": {"schema": both}}
    if task.family.streams:
        replies["text/event-stream"] = {"schema": _EVENT_SCHEMA}
    return {
        "tags": [task.name],
        "operationId": operation_id,
        "summary": localize(task.title),
        "description": localize(task.description),
        "requestBody": {
            "required": True,
            "content": {"application/json": _request_body(task)},
        },
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": _HEADERS,
                "content": replies,
            }
        }
        | {
            status: {
                "description": text,
                "content": {"application/json": {"schema": _ref("Error")}},
            }
            for status, text in _ERRORS.items()
        },
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(model=name)}


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))

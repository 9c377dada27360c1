"""Descriptions of the server: served models, declarations of tasks, failed plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nlplug.server.openapi import task_schemas

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost
    from nlplug.server.catalog import Catalog, Served
    from nlplug.server.serving import Serving


def describe_models(serving: Serving, one: Served | None = None) -> dict[str, Any]:
    """All served models and the failed plugins, or one served model."""
    if one is not None:
        return _describe(serving, one)
    return {
        "default": serving.catalog.default,
        "models": [_describe(serving, served) for served in serving.catalog],
        "failed_plugins": failed_plugins(serving.host),
    }


def describe_tasks(catalog: Catalog) -> dict[str, Any]:
    """The declaration of each served task."""
    return {
        task.name: {
            "title": task.title,
            "description": task.description,
            "hub_task": task.hub_task,
            "display": str(task.display),
            "streams": task.family.streams,
            "default_model": task.default_model,
            "examples": [
                {"inputs": dict(example.input), "parameters": dict(example.options)}
                for example in task.examples
            ],
        }
        | task_schemas(task)
        for task in catalog.tasks()
    }


def failed_plugins(host: PluginHost) -> list[dict[str, Any]]:
    """The failed plugins, with distribution, cause and hint."""
    return [
        {
            "name": record.name,
            "dist": record.dist,
            "version": record.version,
            "cause": record.cause,
            "hint": record.hint,
        }
        for record in host.records()
        if record.state == "failed"
    ]


def _describe(serving: Serving, served: Served) -> dict[str, Any]:
    spec = served.spec
    return {
        "name": served.name,
        "task": served.task.name,
        "hub_task": served.task.hub_task,
        "model": served.key,
        "loaded": serving.loaded(served),
        "description": spec.description if spec else "",
        "license": spec.license if spec else "",
    }

"""The route behind the page that looks inside a model."""

from __future__ import annotations

from typing import Any

from fastapi import Body, Request

from nlplug import PluginHost
from nlplug.inside.result import AttentionMap, Inside
from nlplug.server.pool import AUTO, ModelPool
from nlplug_webui.fields import input_controls, input_values
from nlplug_webui.notices import all_texts
from nlplug_webui.texts import language_of
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-inside"
"""First path segment of the route."""
SHOWN = 48
"""Largest number of tokens on each side of an attention map, and of generated tokens."""
_PARTS = 1000


class Insides:
    """The route.

    Args:
        host: The plugins.
        pool: The loaded models.
    """

    def __init__(self, host: PluginHost, pool: ModelPool) -> None:
        self._host = host
        self._pool = pool
        self.router = page_router(PREFIX, [("POST", "/tasks/{task}", self.inside)])

    def inside(
        self,
        request: Request,
        task: str,
        values: list[Any] = Body(),  # noqa: B008 - FastAPI's way
        model: str = Body(""),
        precision: str = Body(AUTO),
        window: int = Body(1),
    ) -> Any:
        """What happens inside a model while it reads one input."""
        found = self._host.task(task)
        controls = input_controls(found)
        item = input_values(controls, values)
        with self._pool.lease(found, model, precision) as lease:
            name = f"{lease.pipeline.bundle.name}@{lease.pipeline.precision}"
            foreign = all_texts(lease.pipeline.foreign([item]), [], language_of(request))
            shown = _shown(lease.pipeline.inside(item, window=window))
            return {"name": name, "notices": foreign, **shown}


def _shown(found: Inside) -> dict[str, Any]:
    rest = Inside(
        found.tokens,
        found.window,
        found.windows,
        probabilities=found.probabilities[:SHOWN],
        neighbors=found.neighbors,
    )
    return rest.to_dict() | {"attention": [_map(one) for one in found.attention]}


def _map(found: AttentionMap) -> dict[str, Any]:
    """One map; its weights are thousandths, so that an answer stays small."""
    return {
        "name": found.name,
        "queries": [token.text for token in found.queries[:SHOWN]],
        "keys": [token.text for token in found.keys[:SHOWN]],
        "of": max(len(found.queries), len(found.keys)),
        "layers": [
            (layer[:, :SHOWN, :SHOWN] * _PARTS).round().astype(int).tolist()
            for layer in found.layers
        ],
    }

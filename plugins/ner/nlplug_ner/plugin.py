"""Registers the task and the model of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "ner-en"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The named-entity task."""
    from nlplug_ner.task import NerTask

    return [NerTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded English model."""
    return [
        ModelSpec(
            name="ner-en",
            task="ner",
            path=_MODEL,
            description="English, 22.7 M parameters in int8; persons, organizations, places, more.",
            license="Apache-2.0 base; see its model card for the terms of its data",
        )
    ]

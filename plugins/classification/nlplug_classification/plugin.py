"""Registers the task and the model of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "intents-en"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The classification task."""
    from nlplug_classification.task import ClassificationTask

    return [ClassificationTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded English model."""
    return [
        ModelSpec(
            name="intents-en",
            task="classification",
            path=_MODEL,
            description="English, 22.7 M parameters in int8; 150 intents of requests to an "
            "assistant; abstains from other requests.",
            license="Apache-2.0 base; trained on openly licensed data, see its model card",
        )
    ]

"""Registers the task and the models of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODELS = Path(__file__).parent / "models"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The classification task."""
    from nlplug_classification.task import ClassificationTask

    return [ClassificationTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded models: intents in English, topics in Chinese."""
    return [
        ModelSpec(
            name="intents-en",
            task="classification",
            path=_MODELS / "intents-en",
            description="English, 22.7 M parameters in int8; 150 intents of requests to an "
            "assistant; abstains from other requests.",
            license="Apache-2.0 base; trained on openly licensed data, see its model card",
        ),
        ModelSpec(
            name="topics-zh",
            task="classification",
            path=_MODELS / "topics-zh",
            description="Chinese, 10.4 M parameters in int8; ten topics of news titles.",
            license="Apache-2.0 base; trained on research-use data, see its model card",
        ),
    ]

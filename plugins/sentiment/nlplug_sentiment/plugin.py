"""Registers the task and the model of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "sentiment-en"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The sentiment task."""
    from nlplug_sentiment.task import SentimentTask

    return [SentimentTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded English model."""
    return [
        ModelSpec(
            name="sentiment-en",
            task="sentiment",
            path=_MODEL,
            description="English, 22.7 M parameters in int8; film, product and book reviews.",
            license="Apache-2.0 base; trained on research-use data, see its model card",
        )
    ]

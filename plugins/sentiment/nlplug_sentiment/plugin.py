"""Registers the task and the models of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODELS = Path(__file__).parent / "models"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The sentiment task."""
    from nlplug_sentiment.task import SentimentTask

    return [SentimentTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded models, English and Chinese."""
    return [
        ModelSpec(
            name="sentiment-en",
            task="sentiment",
            path=_MODELS / "sentiment-en",
            description="English, 22.7 M parameters in int8; reviews and comments.",
            license="Apache-2.0 base; trained on research-use data, see its model card",
        ),
        ModelSpec(
            name="sentiment-zh",
            task="sentiment",
            path=_MODELS / "sentiment-zh",
            description="Chinese, 10.4 M parameters in int8; reviews of hotels, meals and goods.",
            license="Apache-2.0 base; trained on research-use data, see its model card",
        ),
    ]

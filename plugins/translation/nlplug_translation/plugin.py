"""What this package offers to nlplug."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "translation-en-fr"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The translation task."""
    from nlplug_translation.task import TranslationTask

    return [TranslationTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded model, English to French."""
    return [
        ModelSpec(
            name="translation-en-fr",
            task="translation",
            path=_MODEL,
            description="English to French, trained from scratch; sentences of everyday language.",
            license="See its model card for the terms of its data",
        )
    ]

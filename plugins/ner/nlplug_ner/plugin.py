"""Registers the task and the models of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODELS = Path(__file__).parent / "models"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The named-entity task."""
    from nlplug_ner.task import NerTask

    return [NerTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded models, English and Chinese."""
    return [
        ModelSpec(
            name="ner-en",
            task="ner",
            path=_MODELS / "ner-en",
            description="English, 22.7 M parameters in int8; persons, organizations, places, more.",
            license="Apache-2.0 base; see its model card for the terms of its data",
        ),
        ModelSpec(
            name="ner-zh",
            task="ner",
            path=_MODELS / "ner-zh",
            description="Chinese, 10.4 M parameters in int8; names in news.",
            license="Apache-2.0 base; trained on research-use data, see its model card",
        ),
    ]

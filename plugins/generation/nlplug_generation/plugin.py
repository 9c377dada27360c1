"""Registers the task and the model of this package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "tales-en"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The text generation task."""
    from nlplug_generation.task import GenerationTask

    return [GenerationTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded English story model."""
    return [
        ModelSpec(
            name="tales-en",
            task="generation",
            path=_MODEL,
            description="Short stories in simple English; small and fast, without world knowledge.",
            license="Apache-2.0; see its model card for the terms of its data",
        ),
    ]

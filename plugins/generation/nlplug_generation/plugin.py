"""What this package offers to nlplug."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, Task, hookimpl

NLPLUG_CONTRACT = 1

_MODEL = Path(__file__).parent / "models" / "tales-en"


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The text generation task."""
    from nlplug_generation.task import GenerationTask

    return [GenerationTask()]


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """The embedded teller of tales."""
    return [
        ModelSpec(
            name="tales-en",
            task="generation",
            path=_MODEL,
            description="English tales in simple words; small and fast, without knowledge.",
            license="Apache-2.0; see its model card for the terms of its data",
        ),
    ]

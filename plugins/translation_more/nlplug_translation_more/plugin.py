"""Registers the model of this package; the task is that of nlplug-translation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlplug import ModelSpec, hookimpl

NLPLUG_CONTRACT = 2

_MODEL = Path(__file__).parent / "models" / "translation-more"


@hookimpl
def register_models() -> Iterable[ModelSpec]:
    """English to German, Spanish and Chinese, and French to English."""
    return [
        ModelSpec(
            name=_MODEL.name,
            task="translation",
            path=_MODEL,
            description="English to German, Spanish and Chinese, and French to English.",
            license="See its model card for the terms of its data",
        )
    ]

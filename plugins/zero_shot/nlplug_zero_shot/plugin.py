"""Registers the task of this package."""

from __future__ import annotations

from collections.abc import Iterable

from nlplug import Task, hookimpl

NLPLUG_CONTRACT = 2


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The zero-shot classification task."""
    from nlplug_zero_shot.task import ZeroShotTask

    return [ZeroShotTask()]

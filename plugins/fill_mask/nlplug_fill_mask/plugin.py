"""Registers the task of this package."""

from __future__ import annotations

from collections.abc import Iterable

from nlplug import Task, hookimpl

NLPLUG_CONTRACT = 2


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The fill-mask task."""
    from nlplug_fill_mask.task import FillMaskTask

    return [FillMaskTask()]

"""Registers the tasks of this package."""

from __future__ import annotations

from collections.abc import Iterable

from nlplug import Task, hookimpl

NLPLUG_CONTRACT = 2


@hookimpl
def register_tasks() -> Iterable[Task]:
    """Summarization and text-to-text generation."""
    from nlplug_text2text.task import SummarizationTask, Text2TextTask

    return [SummarizationTask(), Text2TextTask()]

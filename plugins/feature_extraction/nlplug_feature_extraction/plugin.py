"""Registers the task of this package."""

from __future__ import annotations

from collections.abc import Iterable

from nlplug import Task, hookimpl

NLPLUG_CONTRACT = 2


@hookimpl
def register_tasks() -> Iterable[Task]:
    """The feature-extraction task."""
    from nlplug_feature_extraction.task import FeatureExtraction

    return [FeatureExtraction()]

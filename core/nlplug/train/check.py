"""The check of a run's data, before anything that trains is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.data.check import DataCheck, check_rows
from nlplug.data.contents import Contents
from nlplug.data.lengths import estimate, languages_of, measure
from nlplug.errors import OptionError
from nlplug.families.family import load

if TYPE_CHECKING:
    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.rows import RunRows


def contents_of(task: Task, config: TrainConfig) -> Contents | None:
    """What reads the rows of a task's data without a training library; None if there is nothing."""
    if not task.family.contents:
        return None
    contents: Contents = load(task.family.contents)(task, config)
    return contents


def checked_contents(task: Task, config: TrainConfig) -> Contents:
    """As `contents_of`.

    Raises:
        OptionError: The family has none.
    """
    contents = contents_of(task, config)
    if contents is None:
        raise OptionError(
            f"The family {task.family.name!r} of the task {task.name!r} has no check of its data.",
            hint="Set Family.contents to 'module:Class' of a nlplug.data.contents.Contents.",
        )
    return contents


def check_run(contents: Contents, rows: RunRows, config: TrainConfig) -> DataCheck:
    """Check the rows of a run."""
    check = check_rows(
        contents,
        rows.parts,
        rows.reports,
        languages=config.languages or languages_of(config.base),
        lengths=lambda texts: measure(texts, config.base, config.max_length),
    )
    check.estimate = estimate(len(rows.train), config.epochs, check.lengths, config.base)
    return check

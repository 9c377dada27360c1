"""The check of a run's data, before anything that trains is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.data.check import DataCheck, check_rows
from nlplug.data.contents import Contents
from nlplug.data.lengths import estimate, languages_of, measure
from nlplug.errors import DataError, ModelNotFound, OptionError
from nlplug.families.family import load
from nlplug.train.base import resolve_base
from nlplug.train.plan import FEW_ROWS, planned
from nlplug.train.rows import read_run, with_all_labels, with_test
from nlplug.train.ways import holds_rows_out

if TYPE_CHECKING:
    from nlplug.data.rows import DataRow
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
            f"The family {task.family.name!r} of the task {task.name!r} has no data check.",
            hint="Its models cannot be trained on your rows. In a family of your own, set "
            "Family.contents to 'module:Class' of a nlplug.data.contents.Contents.",
        )
    return contents


def check_run(contents: Contents, rows: RunRows, config: TrainConfig) -> DataCheck:
    """Check the rows of a run."""
    check = check_rows(
        contents,
        rows.parts,
        rows.reports,
        shortage=rows.shortage,
        languages=config.languages or languages_of(config.base),
        lengths=lambda texts: measure(texts, config.base, config.max_length),
    )
    if config.minutes is None:
        check.estimate = estimate(len(rows.train), config.epochs, check.lengths, config.base)
    return check


def check_files(task: Task, config: TrainConfig) -> tuple[DataCheck, TrainConfig]:
    """Check the data that a run with these settings would read; nothing is written.

    Args:
        task: The task.
        config: The settings; ``base`` may be empty.

    Returns:
        The check, and the settings with those that the run would choose.

    Raises:
        OptionError: The data of the task has no check.
        DataError: A file cannot be read at all.
    """
    if config.base or task.base:
        try:
            base = resolve_base(task, config.base)
        except ModelNotFound:
            if config.base:
                raise
            base = task.base or ""  # the rows can be checked without it
        config = config.model_copy(update={"base": base})
    contents = checked_contents(task, config)

    def key(row: DataRow) -> str:
        try:
            return contents.key(row)
        except DataError:
            return row.where  # the check reports the row

    few = FEW_ROWS if task.family.plan and not holds_rows_out(config) else 0
    rows = with_all_labels(read_run(config, key, skip=True, few=few), config, contents)
    rows = with_test(rows, config, key)
    config = planned(config, task.family, len(rows.train))
    return check_run(contents, rows, config), config

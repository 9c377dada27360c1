"""The rows of a run: for training, for the choice of the checkpoint, and for the quality gate."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.data.formats import DataFile
from nlplug.data.report import ReadReport
from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.text.words import alike
from nlplug.train.sources import hold_out, read_sources

if TYPE_CHECKING:
    from nlplug.data.contents import Contents
    from nlplug.train.config import RunConfig, TrainConfig

FOLDS = 4
"""Parts of the rows in a cross-validation."""

Key = Callable[[DataRow], str]


@dataclass
class RunRows:
    """The rows of a run.

    Attributes:
        train: Rows to train on.
        eval: Rows whose score chooses the checkpoint.
        test: Rows for the quality gate and the report, which choose nothing. Empty if there are too
            few rows; then the evaluation rows take their place.
        reports: What was understood of the files.
        shortage: Why these rows are too few for a run; None if they are not.
    """

    train: list[DataRow]
    eval: list[DataRow]
    test: list[DataRow] = field(default_factory=list)
    reports: list[ReadReport] = field(default_factory=list)
    shortage: DataError | None = None

    @property
    def parts(self) -> dict[str, list[DataRow]]:
        """The rows by the name of their part."""
        found = {"train": self.train, "eval": self.eval, "test": self.test}
        return {name: rows for name, rows in found.items() if rows}


def read_run(config: RunConfig, key: Key, *, skip: bool = False, few: int = 0) -> RunRows:
    """The rows for training and evaluation.

    Too few rows are no error here: if rows cannot be used or were left out, that is the reason, and
    is found when they are checked.

    Args:
        config: The settings.
        key: The text whose hash assigns a row to training or to evaluation.
        skip: Whether to leave out rows that cannot be read, which the reports count; else they are
            errors.
        few: With fewer rows none is held out, unless ``eval_share`` is given.

    Raises:
        DataError: The data cannot be used.
    """
    reports: list[ReadReport] = []
    file = partial(_skipping, config) if skip else config.data_file
    rows = read_sources(
        config.data, split="train", limit=config.max_rows, file=file, reports=reports
    )
    if config.eval:
        held = read_sources(config.eval, split="validation", limit=None, file=file, reports=reports)
        return RunRows(rows, spread(held, config.max_eval_rows), reports=reports)
    if len(rows) < few and "eval_share" not in config.model_fields_set:
        found = RunRows(rows, [], reports=reports)
        if len({alike(key(row)) for row in rows}) < FOLDS:
            found.shortage = DataError(
                f"The rows have fewer than {FOLDS} different texts (rows: {len(rows)}).",
                hint="Give more rows, or an evaluation file with --eval.",
            )
        return found
    kept, held = hold_out(rows, config.eval_share, key)
    found = RunRows(kept, spread(held, config.max_eval_rows), reports=reports)
    if not kept or not held:
        found.shortage = DataError(
            f"None of the {len(rows)} rows is left for {'training' if not kept else 'evaluation'}.",
            hint="Give an evaluation file with --eval, or another --eval-share.",
        )
    return found


def spread(rows: list[DataRow], limit: int | None) -> list[DataRow]:
    """At most ``limit`` rows at equal distances: the first ones of a sorted file are all alike."""
    if limit is None or len(rows) <= limit:
        return rows
    return [rows[place * len(rows) // limit] for place in range(limit)]


def folds(keys: Sequence[str], strata: Sequence[str]) -> list[int]:
    """The fold of each row by a hash of its text; rows with the same text are in the same fold.

    Texts are the same here if they differ only in case, spaces or punctuation.

    Args:
        keys: The text of each row.
        strata: What the folds are to have in equal shares, such as the label of each row.
    """
    keys = [alike(key) for key in keys]
    stratum = dict(zip(keys, strata, strict=True))
    order = sorted(stratum, key=lambda key: (stratum[key], hashlib.sha256(key.encode()).digest()))
    fold = {key: index % FOLDS for index, key in enumerate(order)}
    return [fold[key] for key in keys]


def _skipping(config: RunConfig, path: Path) -> DataFile:
    file = config.data_file(path)
    file.on_skip = lambda row: None
    return file


def with_all_labels(rows: RunRows, config: RunConfig, contents: Contents) -> RunRows:
    """The same rows, but each label of a held-out row has a training row.

    A label that only held-out rows have could not be learned: these rows go back to the training
    rows. An evaluation file stays as it is, and so do rows that cannot be read.
    """
    if config.eval or not rows.eval:
        return rows
    reader = type(contents)(contents.task, contents.config)
    try:
        reader.fit([*rows.train, *rows.eval])
        known = {label for row in rows.train for label in reader.content(row).labels}
        alone = [not known.issuperset(reader.content(row).labels) for row in rows.eval]
    except DataError:  # the check of the rows reports it
        return rows
    if not any(alone) or all(alone):
        return rows
    rows.train = [*rows.train, *(row for row, back in zip(rows.eval, alone, strict=True) if back)]
    rows.eval = [row for row, back in zip(rows.eval, alone, strict=True) if not back]
    for report in rows.reports[:1]:
        report.note(f"{sum(alone):,} not held out, because no other row has the label")
    return rows


def with_test(rows: RunRows, config: TrainConfig, key: Key) -> RunRows:
    """The same rows with those for the quality gate: a file, or a share of the evaluation rows.

    Raises:
        DataError: The file cannot be used.
    """
    if config.test:
        rows.test = read_sources(
            config.test, split="test", limit=None, file=config.data_file, reports=rows.reports
        )
        return rows
    rows.eval, rows.test = split(rows.eval, config.test_share, key)
    return rows


def split(rows: Sequence[DataRow], share: float, key: Key) -> tuple[list[DataRow], list[DataRow]]:
    """Divide rows in two by a hash of their text, the second with about ``share`` of them.

    Rows with the same text stay together, also if it differs in case, spaces or punctuation. If
    this would leave a part empty, all are in the first.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        # Another hash than that of `hold_out`, which has selected these rows.
        groups[hashlib.sha256(alike(key(row)).encode()).hexdigest()].append(index)
    taken: set[int] = set()
    for name in sorted(groups):
        if len(taken) + len(groups[name]) <= share * len(rows):
            taken.update(groups[name])
    if len(taken) == len(rows):
        taken.clear()
    return (
        [row for index, row in enumerate(rows) if index not in taken],
        [row for index, row in enumerate(rows) if index in taken],
    )

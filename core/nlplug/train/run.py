"""One training run, from rows to an exported bundle and a report."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.data.report import ReadReport
from nlplug.data.writers import open_writer
from nlplug.errors import (
    DataError,
    GateRefused,
    MissingExtra,
    NothingLearned,
    TrainingError,
    TrainingInterrupted,
)
from nlplug.extras import require_training
from nlplug.families.family import load
from nlplug.train.base import base_name, resolve_base, with_weights
from nlplug.train.extensions import NO_EXTENSIONS, Extensions
from nlplug.train.plan import CHOSEN, FEW_ROWS, check_length, described, planned, write_settings
from nlplug.train.processes import is_alone, is_main, main_first
from nlplug.train.rows import RunRows, folds, read_run, with_all_labels, with_test
from nlplug.train.sources import read_sources
from nlplug.train.ways import check_ways, holds_rows_out, with_privacy

if TYPE_CHECKING:
    from nlplug.data.check import DataCheck
    from nlplug.data.contents import Contents
    from nlplug.data.rows import DataRow
    from nlplug.export.run import ExportReport
    from nlplug.task import Task
    from nlplug.train.config import RunConfig, TrainConfig
    from nlplug.train.recipe import Example, Recipe
    from nlplug.train.workspace import Workspace

_log = logging.getLogger("nlplug.train")
_data_log = logging.getLogger("nlplug.data")
_SCALED = 512
"""Maximum number of rows that the scales of int8 activations are chosen on."""


def train(task: Task, config: TrainConfig, extensions: Extensions = NO_EXTENSIONS) -> Path:
    """Check the data, fine-tune, export behind the quality gate, and write a report.

    The PyTorch checkpoint stays in ``<output>.training/model``, and the report is in
    ``<output>.report``. An interrupted run leaves only the folder ``<output>.training``, and
    ``config.resume`` continues it. An earlier bundle in ``config.output`` is kept until the new one
    has passed the quality gate.

    Returns:
        The folder of the bundle.

    Raises:
        DataError: The data cannot be used.
        TrainingError: Training cannot start or continue.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM; it can be resumed.
        NothingLearned: The model is not better than a trivial answer.
        GateRefused: All exported precisions lost more quality than allowed.
    """
    from nlplug.train.interrupt import interruptible
    from nlplug.train.workspace import check_output

    check_output(config.output)
    with ExitStack() as stack:
        work, config = _fine_tune(task, config, stack, gate=True, extensions=extensions)
        if is_main():
            with interruptible(work):
                _finish(task, config, work)
    return config.output


def fine_tune(task: Task, config: TrainConfig) -> Path:
    """Fine-tune without exporting; all evaluation rows choose the checkpoint.

    Returns:
        The finished checkpoint with its tokenizer, a folder in Hugging Face's layout.

    Raises:
        DataError: The data cannot be used.
        TrainingError: Training cannot start or continue.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM; it can be resumed.
    """
    with ExitStack() as stack:
        return _fine_tune(task, config, stack, gate=False)[0].model


def _fine_tune(
    task: Task,
    config: TrainConfig,
    stack: ExitStack,
    *,
    gate: bool,
    extensions: Extensions = NO_EXTENSIONS,
) -> tuple[Workspace, TrainConfig]:
    """The folder of the finished run, which ``stack`` holds, and its settings with chosen ones."""
    from nlplug.train.check import contents_of
    from nlplug.train.workspace import Workspace, recalled

    _check_trainable(task)
    given = set(config.model_fields_set)
    for tracker in config.report_to:
        _require_tracker(tracker)
    check_ways(task, config)
    check_length(config)
    config = with_privacy(config)
    base = with_weights(resolve_base(task, config.base))
    config = config.model_copy(update={"base": base})
    if config.resume:
        config = recalled(config, CHOSEN)
    work = Workspace.open(config, extensions.functions)
    if is_main():
        with work.held():  # refused before anything is read
            work.check_data()
    if work.finished:
        if is_main():
            stack.enter_context(work.held())
        return work, config
    contents = contents_of(task, config)
    few = FEW_ROWS if task.family.plan and is_alone() and not holds_rows_out(config) else 0
    key = _recipe(task, config).key if contents is None else contents.key
    rows = read_run(config, key, few=few)
    if contents is not None:
        rows = with_all_labels(rows, config, contents)
    if gate:
        rows = with_test(rows, config, key)
    config = planned(config, task.family, len(rows.train))
    check = None if contents is None else _checked(contents, rows, config)
    if check is None:
        _log_files(rows.reports)
        _require_enough(rows)
    require_training()
    from nlplug.train.loop import check_base, run_loop

    check_base(config)
    if task.family.plan:
        from nlplug.train.precision import with_precision

        config = with_precision(config)
        if is_main():
            _log.info("%s", described(config, given))
    if config.private_epsilon:
        from nlplug.train.privacy import privacy_of

        _log.info("%s", privacy_of(config, len(rows.train)))
    recipe = _recipe(task, config, extensions)
    work = Workspace.open(config, extensions.functions)
    recipe.fit(rows.train)
    examples = recipe.examples(rows.train), recipe.examples(rows.eval)
    if config.teacher:
        texts = _unlabelled(config)
        examples = recipe.taught(examples[0], texts), examples[1]
    test = recipe.examples(rows.test)
    strata = map(recipe.stratum, examples[0])
    parts = [] if examples[1] else folds([key(row) for row in rows.train], [*strata])
    found = None
    if config.search_minutes and work.checkpoint is None:
        from nlplug.train.search import search, searched

        found = search(recipe, config, *examples, parts, given)
        recipe.config = config = searched(config, found)
        work = Workspace.open(config, extensions.functions)
    with main_first() as main:
        if main:
            stack.enter_context(work.started())
            write_settings(config, work.settings_file, given, extensions.functions)
            _write_rows(recipe, config, work, *examples, test)
            if check is not None:
                work.check_file.write_text(json.dumps(check.to_dict(), indent=2), encoding="utf-8")
            if found is not None:
                work.search_file.write_text(json.dumps(found.to_dict(), indent=2), encoding="utf-8")

    try:
        run_loop(recipe, config, work, *examples, parts, extensions.callbacks)
    except TrainingError as error:
        if is_main() and not isinstance(error, TrainingInterrupted):
            work.remove_unless_begun()
        raise
    return work, config


def _write_rows(
    recipe: Recipe,
    config: TrainConfig,
    work: Workspace,
    train_examples: list[Example],
    eval_examples: list[Example],
    test_examples: list[Example],
) -> None:
    """Write the rows that choose the checkpoint, calibrate int8, and are for gate and report."""
    if eval_examples:
        _write(recipe, eval_examples, work.eval_file)
    else:
        _write(recipe, train_examples, work.rows_file)
    # The scales of int8 activations are values that rows have, without noise.
    scaled = eval_examples if config.private_epsilon else train_examples
    some = random.Random(config.seed).sample(scaled, min(_SCALED, len(scaled)))
    _write(recipe, some, work.calibration_file)
    if test_examples:
        _write(recipe, test_examples, work.test_file)


def _unlabelled(config: TrainConfig) -> list[DataRow]:
    if not config.unlabelled:
        return []
    return read_sources(config.unlabelled, split="train", limit=None, file=config.data_file)


def read_examples(recipe: Recipe, config: RunConfig) -> tuple[list[Example], list[Example]]:
    """Examples for training and for evaluation; calls ``recipe.fit`` with the training rows.

    Raises:
        DataError: The data cannot be used.
    """
    rows = read_run(config, recipe.key)
    _log_files(rows.reports)
    _require_enough(rows)
    recipe.fit(rows.train)
    return recipe.examples(rows.train), recipe.examples(rows.eval)


def _checked(contents: Contents, rows: RunRows, config: TrainConfig) -> DataCheck:
    """The check of the rows, without importing what trains.

    Raises:
        DataError: A row cannot be used, or there are warnings and ``strict`` is on.
    """
    from nlplug.train.check import check_run

    check = check_run(contents, rows, config)
    if is_main():
        _data_log.info("%s", check)
    if check.errors:
        raise check.errors[0]
    if config.strict and (count := check.count("warning")):
        raise DataError(
            f"The data check found {count} warning{'s' * (count > 1)}.",
            hint="Correct the data, or train without --strict.",
        )
    return check


def _require_enough(rows: RunRows) -> None:
    if rows.shortage is not None:
        raise rows.shortage


def _log_files(reports: Sequence[ReadReport]) -> None:
    for report in reports:
        _data_log.info("%s", report)


def _write(recipe: Recipe, examples: Sequence[Example], file: Path) -> None:
    with open_writer(file) as writer:
        for example in examples:
            writer.write(recipe.row(example))


def _require_tracker(tracker: str) -> None:
    """Check that an experiment tracker is installed, before anything that trains is imported.

    Raises:
        MissingExtra: It is not.
    """
    if find_spec(tracker) is None:
        raise MissingExtra(
            f"report_to {tracker!r} needs the package {tracker!r}, which is not installed.",
            hint=f"pip install {tracker}",
        )


def _check_trainable(task: Task) -> None:
    if not task.family.training:
        raise TrainingError(
            f"The family {task.family.name!r} of the task {task.name!r} has no training.",
            hint="Its models are exported from a checkpoint: nlplug export. In a family of your "
            "own, set Family.training to 'module:Class' of a nlplug.train.recipe.Recipe.",
        )


def _recipe(task: Task, config: TrainConfig, extensions: Extensions = NO_EXTENSIONS) -> Recipe:
    require_training()
    extensions.check()
    return extensions.recipe(load(task.family.training), task, config)


def _finish(task: Task, config: TrainConfig, work: Workspace) -> None:
    """Export and write the report, which also says why the gate refused."""
    from nlplug.train.report import refusal_report, training_report

    _check_learned(config, work)
    folder = config.output.with_name(f"{config.output.name}.report")
    try:
        _export(task, config, work)
    except GateRefused as error:
        if task.family.scoring:
            page = refusal_report(task, config, work, error.message).write(folder)
            _log.info("Report: %s", page)
        raise
    _record_held_out(task, config, work)
    if task.family.scoring:
        report = training_report(task, config, work)
        _log.info("\n%s\n\nReport: %s", report.text(brief=True), report.write(folder))


def _record_held_out(task: Task, config: TrainConfig, work: Workspace) -> None:
    """Store what rows that did not train the model say about its scores, if there are enough."""
    from nlplug.evaluation.held_out import add_held_out
    from nlplug.models.bundle import Bundle

    if not task.family.held_out or work.gate_file == work.rows_file:
        return
    try:
        add_held_out(
            task,
            Bundle.open(config.output),
            work.gate_file,
            temperature=False,  # that of the training is in the weights
            threads=config.threads,
        )
    except DataError as error:
        _log.info("Nothing is fitted to the held-out rows: %s", error.message)


def _check_learned(config: TrainConfig, work: Workspace) -> None:
    """Refuse a result that is not better than an answer that needs no model.

    Raises:
        NothingLearned: It is not, and ``allow_trivial`` is off.
    """
    from nlplug.train.trials import Trial

    trial = Trial.read(work.trial_file)
    if config.allow_trivial or trial is None or (name := trial.beaten_by()) is None:
        return
    raise NothingLearned(
        f"The model has learned nothing: its {trial.metric.replace('_', ' ')} of {trial.score:.4f} "
        f"on {trial.rows:,} rows is not above that of a trivial answer ({name}: "
        f"{trial.baselines[name]:.4f}). {config.output} was not written.",
        hint="Check the labels with `nlplug data check`, give more rows, or another --base; train "
        "longer (--epochs) or with another --learning-rate. --allow-trivial exports it anyway.",
    )


def _export(task: Task, config: TrainConfig, work: Workspace) -> ExportReport:
    from nlplug.data.lengths import license_of
    from nlplug.export.config import ExportConfig
    from nlplug.export.pretrained import load_config
    from nlplug.export.run import export_model

    files = {"train": config.data, "eval": config.eval, "test": config.test}
    digests = work.digests()
    privacy = work.result().get("privacy", {})
    base = base_name(config.base)
    name = Path(base).name if Path(base).is_dir() else base
    origin = {"source": name, "part": "base", "license": license_of(config.base)}
    return export_model(
        ExportConfig(
            source=work.model,
            output=config.output,
            task=task,
            precisions=tuple(config.precisions),
            eval_data=work.gate_file,
            calibration=work.calibration_file if work.calibration_file.is_file() else None,
            budget=config.budget,
            # A model that answers the most frequent label to every text is what was allowed.
            allow=("answers",) if config.allow_trivial else (),
            license=config.license,
            data=[
                {name: value for name, value in origin.items() if value},
                *(
                    {"source": os.path.basename(source), "part": part}
                    # With the digest of a file, a guess of one of its rows could be confirmed.
                    | ({} if privacy else {"sha256": digests.get(source, "")})
                    for part, sources in files.items()
                    for source in sources
                ),
            ],
            privacy=privacy,
            languages=config.languages,
            name=config.name or config.output.name,
            description=config.description,
            max_length=config.window,
            options=_recipe(task, config).options(load_config(work.model)),
        )
    )

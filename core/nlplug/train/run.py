"""One training run, from rows to an exported bundle and a report."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.report import ReadReport
from nlplug.data.writers import open_writer
from nlplug.errors import DataError, GateRefused, TrainingError
from nlplug.extras import require
from nlplug.families.family import load
from nlplug.train.processes import is_main, main_first
from nlplug.train.rows import RunRows, read_run, with_test

if TYPE_CHECKING:
    from nlplug.data.check import DataCheck
    from nlplug.export.run import ExportReport
    from nlplug.task import Task
    from nlplug.train.config import RunConfig, TrainConfig
    from nlplug.train.recipe import Example, Recipe
    from nlplug.train.workspace import Workspace

_log = logging.getLogger("nlplug.train")
_data_log = logging.getLogger("nlplug.data")


def train(task: Task, config: TrainConfig) -> Path:
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
        GateRefused: All exported precisions lost more quality than allowed.
    """
    from nlplug.train.interrupt import interruptible
    from nlplug.train.workspace import Workspace, check_output

    check_output(config.output)
    _fine_tune(task, config, gate=True)
    if is_main():
        work = Workspace.of(config)
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
    return _fine_tune(task, config, gate=False)


def _fine_tune(task: Task, config: TrainConfig, *, gate: bool) -> Path:
    from nlplug.train.workspace import Workspace

    rows, check = _checked(task, config, gate=gate)
    for module in ("torch", "transformers", "accelerate"):
        require(module, "train", purpose="Training")
    recipe = _recipe(task, config)
    work = Workspace.open(config)
    if work.finished:
        return work.model
    if rows is None:
        rows = _read(recipe.key, config, gate=gate)
        _log_files(rows.reports)
    recipe.fit(rows.train)
    examples = recipe.examples(rows.train), recipe.examples(rows.eval)
    test = recipe.examples(rows.test)
    with main_first() as main:
        if main:
            work.start()
            _write(recipe, examples[1], work.eval_file)
            if test:
                _write(recipe, test, work.test_file)
            if check is not None:
                work.check_file.write_text(json.dumps(check.to_dict(), indent=2), encoding="utf-8")

    from nlplug.train.loop import run_loop

    run_loop(recipe, config, work, *examples)
    return work.model


def read_examples(recipe: Recipe, config: RunConfig) -> tuple[list[Example], list[Example]]:
    """Examples for training and for evaluation; calls ``recipe.fit`` with the training rows.

    Raises:
        DataError: The data cannot be used.
    """
    rows = read_run(config, recipe.key)
    _log_files(rows.reports)
    recipe.fit(rows.train)
    return recipe.examples(rows.train), recipe.examples(rows.eval)


def _checked(
    task: Task, config: TrainConfig, *, gate: bool
) -> tuple[RunRows | None, DataCheck | None]:
    """The rows and their check, without importing what trains; None if the family has none.

    Raises:
        DataError: A row cannot be used, or there are warnings and ``strict`` is on.
    """
    from nlplug.train.check import check_run, contents_of
    from nlplug.train.workspace import Workspace

    contents = contents_of(task, config)
    if contents is None or Workspace.open(config).finished:
        return None, None
    rows = _read(contents.key, config, gate=gate)
    check = check_run(contents, rows, config)
    if is_main():
        _data_log.info("%s", check)
    if check.errors:
        raise check.errors[0]
    if config.strict and (count := check.count("warning")):
        raise DataError(
            f"The check of the data has {count} warning{'s' * (count > 1)}.",
            hint="Correct the data, or train without --strict.",
        )
    return rows, check


def _read(key: Any, config: TrainConfig, *, gate: bool) -> RunRows:
    rows = read_run(config, key)
    return with_test(rows, config, key) if gate else rows


def _log_files(reports: Sequence[ReadReport]) -> None:
    for report in reports:
        _data_log.info("%s", report)


def _write(recipe: Recipe, examples: Sequence[Example], file: Path) -> None:
    with open_writer(file) as writer:
        for example in examples:
            writer.write(recipe.row(example))


def _recipe(task: Task, config: TrainConfig) -> Recipe:
    if not task.family.training:
        raise TrainingError(
            f"The family {task.family.name!r} of the task {task.name!r} has no training.",
            hint="Set Family.training to 'module:Class' of a nlplug.train.recipe.Recipe.",
        )
    recipe: Recipe = load(task.family.training)(task, config)
    return recipe


def _finish(task: Task, config: TrainConfig, work: Workspace) -> None:
    """Export and write the report, which also says why the gate refused."""
    from nlplug.train.report import refusal_report, training_report

    folder = config.output.with_name(f"{config.output.name}.report")
    try:
        _export(task, config, work)
    except GateRefused as error:
        if task.family.scoring:
            page = refusal_report(task, config, work, error.message).write(folder)
            _log.info("Report: %s", page)
        raise
    if task.family.scoring:
        report = training_report(task, config, work)
        _log.info("\n%s\n\nReport: %s", report.text(brief=True), report.write(folder))


def _export(task: Task, config: TrainConfig, work: Workspace) -> ExportReport:
    from nlplug.evaluation.run import digest
    from nlplug.export.config import ExportConfig
    from nlplug.export.pretrained import load_config
    from nlplug.export.run import export_model

    files = {"train": config.data, "eval": config.eval, "test": config.test}
    return export_model(
        ExportConfig(
            source=work.model,
            output=config.output,
            task=task,
            precisions=tuple(config.precisions),
            eval_data=work.gate_file,
            budget=config.budget,
            license=config.license,
            data=[
                {"source": os.path.basename(source), "part": part, "sha256": digest(Path(source))}
                for part, sources in files.items()
                for source in sources
            ],
            languages=config.languages,
            name=config.name or config.output.name,
            description=config.description,
            max_length=config.window,
            options=_recipe(task, config).options(load_config(work.model)),
        )
    )

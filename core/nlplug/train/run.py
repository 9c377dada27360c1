"""One training run, from rows to an exported bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.writers import open_writer
from nlplug.errors import DataError, TrainingError
from nlplug.extras import require
from nlplug.families.family import load
from nlplug.train.processes import is_main, main_first

if TYPE_CHECKING:
    from nlplug.task import Task
    from nlplug.train.config import RunConfig, TrainConfig
    from nlplug.train.recipe import Example, Recipe
    from nlplug.train.workspace import Workspace


def train(task: Task, config: TrainConfig) -> Path:
    """Fine-tune, then export behind the quality gate.

    The PyTorch checkpoint stays in ``<output>.training/model``. An interrupted run leaves only the
    folder ``<output>.training``, and ``config.resume`` continues it. An earlier bundle in
    ``config.output`` is kept until the new one has passed the quality gate.

    Returns:
        The folder of the bundle.

    Raises:
        DataError: The data cannot be used.
        TrainingError: Training cannot start or continue.
        GateRefused: All exported precisions lost more quality than allowed.
    """
    from nlplug.train.workspace import check_output

    check_output(config.output)
    fine_tune(task, config)
    return _export(task, config) if is_main() else config.output


def fine_tune(task: Task, config: TrainConfig) -> Path:
    """Fine-tune without exporting.

    Returns:
        The finished checkpoint with its tokenizer, a folder in Hugging Face's layout.

    Raises:
        DataError: The data cannot be used.
        TrainingError: Training cannot start or continue.
    """
    for module in ("torch", "transformers", "accelerate"):
        require(module, "train", purpose="Training")
    from nlplug.train.workspace import Workspace

    recipe = _recipe(task, config)
    work = Workspace.open(config)
    if work.finished:
        return work.model
    examples = read_examples(recipe, config)
    with main_first() as main:
        if main:
            work.start()
            _write_evaluation(recipe, work, examples[1])

    from nlplug.train.loop import run_loop

    run_loop(recipe, config, work, *examples)
    return work.model


def read_examples(recipe: Recipe, config: RunConfig) -> tuple[list[Example], list[Example]]:
    """Examples for training and for evaluation; calls ``recipe.fit`` with the training rows.

    Raises:
        DataError: The data cannot be used.
    """
    train_rows, eval_rows = _rows(recipe, config)
    recipe.fit(train_rows)
    return recipe.examples(train_rows), recipe.examples(eval_rows)


def _write_evaluation(recipe: Recipe, work: Workspace, examples: Sequence[Example]) -> None:
    with open_writer(work.eval_file) as writer:
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


def _rows(recipe: Recipe, config: RunConfig) -> tuple[list[Any], list[Any]]:
    from nlplug.train.sources import hold_out, read_sources

    file = config.data_file
    rows = read_sources(config.data, split="train", limit=config.max_rows, file=file)
    if config.eval:
        limit = config.max_eval_rows
        return rows, read_sources(config.eval, split="validation", limit=limit, file=file)
    kept, held = hold_out(rows, config.eval_share, recipe.key)
    if not kept or not held:
        raise DataError(
            f"None of the {len(rows)} rows is left for {'training' if not kept else 'evaluation'}.",
            hint="Give an evaluation file with --eval, or another --eval-share.",
        )
    return kept, held[: config.max_eval_rows]


def _export(task: Task, config: TrainConfig) -> Path:
    from nlplug.export.config import ExportConfig
    from nlplug.export.pretrained import load_config
    from nlplug.export.run import export_model
    from nlplug.train.workspace import Workspace

    work = Workspace.of(config)
    export_model(
        ExportConfig(
            source=work.model,
            output=config.output,
            task=task,
            precisions=tuple(config.precisions),
            eval_data=work.eval_file,
            budget=config.budget,
            license=config.license,
            data=[{"source": os.path.basename(source)} for source in config.data],
            languages=config.languages,
            name=config.name or config.output.name,
            description=config.description,
            max_length=config.window,
            options=_recipe(task, config).options(load_config(work.model)),
        )
    )
    return config.output

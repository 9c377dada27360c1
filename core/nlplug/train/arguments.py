"""The settings of a run as the arguments and the environment of Hugging Face's Trainer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainingArguments

from nlplug.errors import TrainingError
from nlplug.export.stack import transformers_major
from nlplug.train.timed import ENDLESS

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig
    from nlplug.train.recipe import Recipe
    from nlplug.train.workspace import Workspace

_TRACKING = "tracking"


@contextmanager
def environment(config: TrainConfig, work: Workspace) -> Iterator[None]:
    """Let the settings choose the precision and the tracking folder of this run only.

    transformers 4 writes the precision into the environment and leaves it there, so a later run of
    the same process, or a process that it starts, would train in it whatever its settings are.
    transformers 5 takes the folder of TensorBoard from the environment alone.
    """
    values = {
        "ACCELERATE_MIXED_PRECISION": "bf16" if config.bf16 else "no",
        "TENSORBOARD_LOGGING_DIR": str(work.folder / _TRACKING),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def training_arguments(
    recipe: Recipe, config: TrainConfig, folder: Path, *, evaluates: bool, tracked: bool = True
) -> TrainingArguments:
    """The arguments of ``transformers.Trainer``.

    Args:
        recipe: Its metric chooses the checkpoint.
        config: The settings.
        folder: For checkpoints and tracking.
        evaluates: Whether there are evaluations.
        tracked: Whether the trackers of the settings are used.

    Raises:
        TrainingError: The device is not available.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("No CUDA device is available.", hint="Use --device cpu.")
    steps = ("steps" if config.eval_steps else "epoch") if evaluates else "no"
    renamed: dict[str, Any]
    if transformers_major() >= 5:  # a number of steps below 1 is a share of all steps
        renamed = {"warmup_steps": config.warmup}
    else:
        renamed = {"warmup_ratio": config.warmup, "logging_dir": str(folder / _TRACKING)}
    return TrainingArguments(
        **renamed,
        output_dir=str(folder),
        num_train_epochs=ENDLESS if config.minutes else config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant" if config.minutes else config.schedule,
        weight_decay=config.weight_decay,
        bf16=config.bf16,
        use_cpu=config.device == "cpu" or not torch.cuda.is_available(),
        seed=config.seed,
        eval_strategy=steps,
        save_strategy=steps,
        eval_steps=config.eval_steps,
        save_steps=config.eval_steps or 500,
        load_best_model_at_end=evaluates,
        metric_for_best_model=recipe.metric,
        greater_is_better=recipe.higher_is_better,
        logging_steps=20,
        disable_tqdm=True,
        report_to=[*config.report_to] if tracked and config.report_to else "none",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
    )

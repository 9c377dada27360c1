"""The training loop with Hugging Face's Trainer, and the selection of the best weights."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from nlplug.errors import TrainingError
from nlplug.export.preflight.record import write_record
from nlplug.models.atomic import Staged
from nlplug.train.config import TrainConfig
from nlplug.train.processes import group, main_first
from nlplug.train.quantized import simulate_int8
from nlplug.train.recipe import Recipe
from nlplug.train.trainer import MarkComplete, RecipeTrainer, SaveByTime, WriteCurve, freeze
from nlplug.train.workspace import Workspace, complete_checkpoints

_log = logging.getLogger(__name__)
_MIXED_PRECISION = "ACCELERATE_MIXED_PRECISION"


def run_loop(
    recipe: Recipe,
    config: TrainConfig,
    work: Workspace,
    train_examples: Sequence[Any],
    eval_examples: Sequence[Any],
) -> dict[str, float]:
    """Train, select or average checkpoints, and write the result to ``work.model``.

    Returns:
        Scores of the result on the evaluation data.

    Raises:
        TrainingError: The base cannot be loaded, or the device is not available.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    set_seed(config.seed)  # before the model is created: its head is random
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.base, use_fast=True)
        # Rows are tokenized once and padded per batch, about which transformers would warn.
        tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        model = recipe.model()
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"The base {config.base!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="Give a folder with config.json, weights and tokenizer, or a Hub id.",
        ) from None
    if config.simulate_int8:
        simulate_int8(model)
    freeze(model, config.freeze, config.freeze_layers)
    train_set = recipe.dataset(train_examples, tokenizer)
    evaluator = recipe.evaluator(work.eval_file, eval_examples, tokenizer)
    callbacks: list[TrainerCallback] = [MarkComplete(), WriteCurve(work.curve)]
    if config.save_minutes:
        callbacks.append(SaveByTime(config.save_minutes))
    if config.patience:
        callbacks.append(EarlyStoppingCallback(config.patience))
    with _precision(config):
        trainer = RecipeTrainer(
            recipe, config, model, _arguments(recipe, config, work), tokenizer, train_set,
            evaluator, callbacks,
        )  # fmt: skip
        with warnings.catch_warnings():
            # The names of checkpoints contain the step, so their times are not needed.
            warnings.filterwarnings("ignore", message="mtime may not be reliable")
            trainer.train(resume_from_checkpoint=str(work.checkpoint) if work.checkpoint else None)
        scores = _finish(trainer, recipe, config, work)
    _save(trainer, tokenizer, work, scores)
    return scores


@contextmanager
def _precision(config: TrainConfig) -> Iterator[None]:
    """Let the settings choose the precision of this run only.

    Transformers writes it into the environment and leaves it there, so a later run of the same
    process, or a process that it starts, would train in it whatever its settings are.
    """
    before = os.environ.get(_MIXED_PRECISION)
    os.environ[_MIXED_PRECISION] = "bf16" if config.bf16 else "no"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_MIXED_PRECISION]
        else:
            os.environ[_MIXED_PRECISION] = before


def _arguments(recipe: Recipe, config: TrainConfig, work: Workspace) -> TrainingArguments:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("No CUDA device is available.", hint="Use --device cpu.")
    steps = "steps" if config.eval_steps else "epoch"
    return TrainingArguments(
        output_dir=str(work.folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_ratio=config.warmup,
        weight_decay=config.weight_decay,
        bf16=config.bf16,
        use_cpu=config.device == "cpu" or not torch.cuda.is_available(),
        seed=config.seed,
        eval_strategy=steps,
        save_strategy=steps,
        eval_steps=config.eval_steps,
        save_steps=config.eval_steps or 500,
        save_total_limit=max(config.average, 2),
        load_best_model_at_end=True,
        metric_for_best_model=recipe.metric,
        greater_is_better=recipe.higher_is_better,
        logging_steps=20,
        disable_tqdm=not sys.stderr.isatty(),
        logging_dir=str(work.folder / "tracking"),
        report_to=config.report_to or "none",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
    )


def _finish(
    trainer: RecipeTrainer, recipe: Recipe, config: TrainConfig, work: Workspace
) -> dict[str, float]:
    """Keep the better of the best checkpoint and the average of the last ones, if configured."""
    key = f"eval_{recipe.metric}"
    scores = trainer.evaluate()
    last = complete_checkpoints(work.folder)[-config.average :]
    if len(last) > 1:
        best = {k: v.detach().clone() for k, v in trainer.model.state_dict().items()}
        trainer.model.load_state_dict(_mean(last), strict=False)
        averaged = trainer.evaluate()
        _log.info("average of %d: %s, best one: %s", len(last), averaged[key], scores[key])
        gain = averaged[key] - scores[key]
        if gain >= 0 if recipe.higher_is_better else gain <= 0:
            scores = averaged
        else:
            trainer.model.load_state_dict(best)
    return {name.removeprefix("eval_"): float(value) for name, value in scores.items()}


def _mean(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    states = [load_file(path / "model.safetensors") for path in checkpoints]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }


def _save(
    trainer: RecipeTrainer,
    tokenizer: PreTrainedTokenizerBase,
    work: Workspace,
    scores: dict[str, float],
) -> None:
    with main_first() as main:
        if main:
            _write(trainer, tokenizer, work, scores)


def _write(
    trainer: RecipeTrainer,
    tokenizer: PreTrainedTokenizerBase,
    work: Workspace,
    scores: dict[str, float],
) -> None:
    with Staged(work.model, folder=True) as staged:
        trainer.model.save_pretrained(staged.path)
        tokenizer.save_pretrained(staged.path)
        write_record(staged.path, trainer.model, tokenizer)
        staged.commit()
    work.finish(scores, {"steps": trainer.state.global_step, **group()})

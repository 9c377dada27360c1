"""The training loop with Hugging Face's Trainer, and the selection of the best weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import get_reporting_integration_callbacks

from nlplug.errors import TrainingError
from nlplug.export.preflight.record import write_record
from nlplug.export.quiet import no_progress_bars
from nlplug.export.saved_tokenizer import read_tokenizer, save_tokenizer
from nlplug.export.stack import transformers_major
from nlplug.models.atomic import Staged
from nlplug.train.callbacks import KeepCheckpoints, ShowProgress, StopOnSignal
from nlplug.train.config import TrainConfig
from nlplug.train.interrupt import Interruption, interruptible
from nlplug.train.probe import START
from nlplug.train.processes import group, is_main, main_first
from nlplug.train.quantized import simulate_int8
from nlplug.train.recipe import Recipe
from nlplug.train.served import in_evaluation
from nlplug.train.trainer import MarkComplete, RecipeTrainer, SaveByTime, WriteCurve, freeze
from nlplug.train.trials import (
    Trial,
    cross_validate,
    load_probe,
    put_probe,
    save_probe,
)
from nlplug.train.workspace import EVALUATED, Workspace, complete_checkpoints

_log = logging.getLogger(__name__)
_TRACKING = "tracking"
_users_log = logging.getLogger("nlplug.train")


def run_loop(
    recipe: Recipe,
    config: TrainConfig,
    work: Workspace,
    train_examples: Sequence[Any],
    eval_examples: Sequence[Any],
    folds: Sequence[int] = (),
    callbacks: Sequence[TrainerCallback] = (),
) -> dict[str, float]:
    """Train, select or average checkpoints, and write the result to ``work.model``.

    A linear probe is fitted first where the recipe allows it. Fine-tuning starts from it, and the
    probe is the result if fine-tuning is not better. Without evaluation rows, cross-validation
    decides this, and the result is trained on all rows.

    Args:
        recipe: The recipe, which has read the training rows.
        config: The settings.
        work: The folder of the run.
        train_examples: Training rows.
        eval_examples: Rows that select the checkpoint; may be empty.
        folds: The fold of each training row if there are no evaluation rows.
        callbacks: Callbacks of the caller, for the run itself and not for a cross-validation.

    Returns:
        Scores of the result on the evaluation data, or by cross-validation.

    Raises:
        TrainingError: The base cannot be loaded, or the device is not available.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM; it can be resumed.
    """
    with interruptible(work) as interruption:
        if config.threads:
            torch.set_num_threads(config.threads)
        tokenizer = _tokenizer(config)
        with _environment(config, work), no_progress_bars():
            run = _Run(recipe, config, work, tokenizer, interruption, callbacks)
            if eval_examples:
                return run.with_evaluation(train_examples, eval_examples)
            return run.on_all_rows(train_examples, folds)


def _tokenizer(config: TrainConfig) -> PreTrainedTokenizerBase:
    with _loading(config):
        tokenizer: PreTrainedTokenizerBase = read_tokenizer(config.base)
        # Rows are tokenized once and padded per batch, about which transformers would warn.
        tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        return tokenizer


@contextmanager
def _loading(config: TrainConfig) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"The base {config.base!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="Give a folder with config.json, weights and tokenizer, or a Hub id.",
        ) from None


class _Run:
    """The steps of a run."""

    def __init__(
        self,
        recipe: Recipe,
        config: TrainConfig,
        work: Workspace,
        tokenizer: PreTrainedTokenizerBase,
        interruption: Interruption,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self._recipe = recipe
        self._config = config
        self._work = work
        self._tokenizer = tokenizer
        self._interruption = interruption
        self._callbacks = callbacks

    def with_evaluation(
        self, train_examples: Sequence[Any], eval_examples: Sequence[Any]
    ) -> dict[str, float]:
        """Select the best checkpoint, or the probe, by the score on the evaluation rows."""
        recipe, work, model = self._recipe, self._work, self._model()
        train_set = recipe.dataset(train_examples, self._tokenizer)
        evaluator = recipe.evaluator(work.eval_file, eval_examples, self._tokenizer)
        probe, probe_scores = load_probe(work.probe_file), work.probe_scores()
        if work.checkpoint is None:
            probe = put_probe(recipe, model, train_set, self._tokenizer)
            if probe is not None:
                with in_evaluation(model):
                    probe_scores = evaluator(model)
                probe.put(model, share=START)
                if is_main():
                    save_probe(probe, work.probe_file)
                    work.keep_probe_scores(probe_scores)
                    _users_log.info("Probe: %s %.4f", recipe.metric, probe_scores[recipe.metric])
        trainer = self._trainer(model, train_set, evaluator, work.folder, evaluates=True)
        self._train(trainer)
        scores = _finish(trainer, recipe, self._config, work)
        trial = Trial(
            recipe.metric,
            recipe.higher_is_better,
            rows=len(eval_examples),
            probe=probe_scores.get(recipe.metric),
            tuned=scores.get(recipe.metric),
            baselines=recipe.trivial_scores(model.config, work.eval_file),
        )
        if probe is not None and trial.keeps_probe:
            model, scores = self._model(), probe_scores
            probe.put(model)
        if changed := recipe.calibrate(model, eval_examples, self._tokenizer):
            with in_evaluation(model):
                scores = evaluator(model) | changed
        self._save(model, trial, scores, trainer.state.global_step)
        return scores

    def on_all_rows(self, examples: Sequence[Any], folds: Sequence[int]) -> dict[str, float]:
        """Decide by cross-validation, then train the one that is better on all rows."""
        recipe, work = self._recipe, self._work
        trial = Trial.read(work.trial_file)
        if trial is None or work.checkpoint is None:
            with TemporaryDirectory(dir=work.folder) as folder:
                trial = cross_validate(
                    recipe,
                    examples,
                    folds,
                    self._tokenizer,
                    work,
                    model=self._model,
                    train=lambda model, rows: self._trial_run(model, rows, Path(folder)),
                )
            trial.write(work.trial_file)
        model = self._model()
        train_set = recipe.dataset(examples, self._tokenizer)
        if work.checkpoint is None:
            probe = put_probe(recipe, model, train_set, self._tokenizer)
            if probe is not None and not trial.keeps_probe:
                probe.put(model, share=START)
        steps = 0
        if not trial.keeps_probe:
            trainer = self._trainer(model, train_set, dict, work.folder, evaluates=False)
            self._train(trainer)
            steps = trainer.state.global_step
        scores = {} if trial.score is None else {recipe.metric: trial.score}
        self._save(model, trial, scores, steps)
        return scores

    def _model(self) -> PreTrainedModel:
        set_seed(self._config.seed)  # before the model is created: its head is random
        with _loading(self._config):
            model = self._recipe.model()
        if self._config.simulate_int8:
            simulate_int8(model)
        freeze(model, self._config.freeze, self._config.freeze_layers)
        return model

    def _trial_run(self, model: PreTrainedModel, rows: Any, folder: Path) -> None:
        arguments = _arguments(self._recipe, self._config, folder, evaluates=False, tracked=False)
        trainer = RecipeTrainer(
            self._recipe, self._config, model, arguments, self._tokenizer, rows, dict, []
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    def _trainer(
        self, model: PreTrainedModel, rows: Any, evaluator: Any, folder: Path, *, evaluates: bool
    ) -> RecipeTrainer:
        config = self._config
        callbacks: list[TrainerCallback] = [
            MarkComplete(),
            KeepCheckpoints(max(config.average, 2)),
            WriteCurve(self._work.curve),
            StopOnSignal(self._interruption),
        ]
        if config.save_minutes:
            callbacks.append(SaveByTime(config.save_minutes))
        if config.patience and evaluates:
            callbacks.append(EarlyStoppingCallback(config.patience))
        callbacks += self._callbacks
        arguments = _arguments(self._recipe, config, folder, evaluates=evaluates)
        trainer = RecipeTrainer(
            self._recipe, config, model, arguments, self._tokenizer, rows, evaluator, callbacks
        )
        trainer.remove_callback(PrinterCallback)
        metric = self._recipe.metric
        trainer.add_callback(ShowProgress(trainer.recent_loss, metric, config.progress_seconds))
        return trainer

    def _train(self, trainer: RecipeTrainer) -> None:
        checkpoint = self._work.checkpoint
        self._interruption.deferred = True
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self._interruption.deferred = False
        for tracker in get_reporting_integration_callbacks([*self._config.report_to]):
            trainer.remove_callback(tracker)  # a later score would begin another tracked run
        self._interruption.raise_if_received()

    def _save(
        self, model: PreTrainedModel, trial: Trial, scores: dict[str, float], steps: int
    ) -> None:
        with main_first() as main:
            if main:
                _users_log.info("%s", trial)
                trial.write(self._work.trial_file)
                _write(model, self._tokenizer, self._work, scores, steps)


@contextmanager
def _environment(config: TrainConfig, work: Workspace) -> Iterator[None]:
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


def _arguments(
    recipe: Recipe, config: TrainConfig, folder: Path, *, evaluates: bool, tracked: bool = True
) -> TrainingArguments:
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
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
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


def _finish(
    trainer: RecipeTrainer, recipe: Recipe, config: TrainConfig, work: Workspace
) -> dict[str, float]:
    """Keep the better of the best checkpoint and the average of the last ones, if configured."""
    key = f"eval_{recipe.metric}"
    scores = trainer.evaluate()
    last = complete_checkpoints(work.folder, EVALUATED)[-config.average :]
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
    return _scores(scores)


def _scores(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix("eval_"): float(value) for name, value in metrics.items()}


def _mean(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    states = [load_file(path / "model.safetensors") for path in checkpoints]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }


def _write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    work: Workspace,
    scores: dict[str, float],
    steps: int,
) -> None:
    with Staged(work.model, folder=True) as staged:
        model.save_pretrained(staged.path)
        save_tokenizer(tokenizer, staged.path)
        write_record(staged.path, model, tokenizer)
        staged.commit()
    work.finish(scores, {"steps": steps, **group()})

"""The training loop with Hugging Face's Trainer, and the selection of the best weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    TrainerCallback,
    set_seed,
)
from transformers.integrations import get_reporting_integration_callbacks

from nlplug.export.preflight.files import check_source
from nlplug.export.preflight.findings import stop_if_fatal
from nlplug.export.preflight.record import write_record
from nlplug.export.preflight.vocabulary import tokens_beyond
from nlplug.export.quiet import no_progress_bars
from nlplug.export.saved_tokenizer import read_tokenizer, save_tokenizer
from nlplug.models.atomic import Staged
from nlplug.train.adapters import add_adapters, merge_adapters
from nlplug.train.arguments import environment, training_arguments
from nlplug.train.callbacks import KeepCheckpoints, StopOnSignal
from nlplug.train.checkpoint import loading
from nlplug.train.config import TrainConfig
from nlplug.train.interrupt import Interruption, interruptible
from nlplug.train.private import PrivateTrainer
from nlplug.train.probe import START, Probe
from nlplug.train.processes import group, is_main, main_first
from nlplug.train.quantized import simulate_int8
from nlplug.train.recipe import Recipe
from nlplug.train.seeds import mean_of, put_best, put_mean, state_of
from nlplug.train.served import in_evaluation
from nlplug.train.trainer import MarkComplete, RecipeTrainer, SaveByTime, WriteCurve, freeze
from nlplug.train.trials import (
    Trial,
    cross_validate,
    load_probe,
    put_probe,
    refit,
    refitting,
    save_probe,
)
from nlplug.train.workspace import EVALUATED, Workspace, complete_checkpoints

_log = logging.getLogger(__name__)
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
    with _run(recipe, config, work, callbacks) as run:
        if eval_examples:
            return run.with_evaluation(train_examples, eval_examples)
        return run.on_all_rows(train_examples, folds)


def trial_of(
    recipe: Recipe,
    config: TrainConfig,
    work: Workspace,
    examples: Sequence[Any],
    folds: Sequence[int],
    *,
    most: int | None = None,
) -> Trial:
    """The scores of settings on rows that did not train the model; stores no model.

    Args:
        recipe: The recipe, which has read the rows.
        config: The settings.
        work: A folder for what is not kept.
        examples: All rows.
        folds: The fold of each row, counted from 0.
        most: Largest number of folds that are scored.

    Raises:
        TrainingError: The base cannot be loaded, or the device is not available.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM.
    """
    with _run(recipe, config, work) as run:
        return run.trial(examples, folds, most=most)


@contextmanager
def _run(
    recipe: Recipe, config: TrainConfig, work: Workspace, callbacks: Sequence[TrainerCallback] = ()
) -> Iterator[_Run]:
    """A run with its threads, environment and handlers of signals."""
    with interruptible(work) as interruption:
        if config.threads:
            torch.set_num_threads(config.threads)
        tokenizer = _tokenizer(config)
        with environment(config, work), no_progress_bars():
            yield _Run(recipe, config, work, tokenizer, interruption, callbacks)


def _tokenizer(config: TrainConfig) -> PreTrainedTokenizerBase:
    with loading(config.base, "The base"):
        tokenizer: PreTrainedTokenizerBase = read_tokenizer(config.base)
        # Rows are tokenized once and padded per batch, about which transformers would warn.
        tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        return tokenizer


def check_base(config: TrainConfig) -> None:
    """Check that the base can be reached, before anything is written.

    Raises:
        ModelNotFound: There is no such folder, and no such repository within reach.
        ExportError: Its files are truncated or unreadable.
        TrainingError: Its tokenizer cannot be loaded.
    """
    if not Path(config.base).is_dir():  # a folder was checked when the base was resolved
        check_source(config.base)
    _tokenizer(config)


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
        evaluator = refitting(recipe, evaluator, train_set, self._tokenizer)
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
        if (seeds := self._config.seeds) > 1:
            again = self._again(train_set, probe)
            scores = put_best(
                model, again, seeds, work.folder, recipe=recipe, evaluator=evaluator, scores=scores
            )
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
        self._save(model, trial, scores, trainer.facts())
        return scores

    def on_all_rows(self, examples: Sequence[Any], folds: Sequence[int]) -> dict[str, float]:
        """Decide by cross-validation, then train the one that is better on all rows."""
        recipe, work = self._recipe, self._work
        trial = Trial.read(work.trial_file)
        if trial is None or work.checkpoint is None:
            trial = self.trial(examples, folds)
            trial.write(work.trial_file)
        model = self._model()
        train_set = recipe.dataset(examples, self._tokenizer)
        if work.checkpoint is None:
            probe = put_probe(recipe, model, train_set, self._tokenizer)
            if probe is not None and not trial.keeps_probe:
                probe.put(model, share=START)
        elif self._config.seeds > 1:  # the further runs start from it too
            probe = put_probe(recipe, self._model(), train_set, self._tokenizer)
        else:
            probe = None
        facts: dict[str, Any] = {"steps": 0}
        if not trial.keeps_probe:
            trainer = self._trainer(model, train_set, dict, work.folder, evaluates=False)
            self._train(trainer)
            facts = trainer.facts()
            if (seeds := self._config.seeds) > 1:
                put_mean(model, self._again(train_set, probe), seeds, work.folder)
            refit(recipe, model, train_set, self._tokenizer)
        scores = {} if trial.score is None else {recipe.metric: trial.score}
        self._save(model, trial, scores, facts)
        return scores

    def trial(
        self, examples: Sequence[Any], folds: Sequence[int], *, most: int | None = None
    ) -> Trial:
        """Compare the probe with fine-tuning on folds of the rows, at most on ``most`` of them."""
        with TemporaryDirectory(dir=self._work.folder) as folder:
            return cross_validate(
                self._recipe,
                examples,
                folds,
                self._tokenizer,
                self._work,
                model=self._model,
                train=lambda model, rows: self._trial_run(model, rows, Path(folder)),
                most=most,
            )

    def _model(self) -> PreTrainedModel:
        set_seed(self._config.seed)  # before the model is created: its head is random
        with loading(self._config.base, "The base"):
            model = self._recipe.model()
        beyond = tokens_beyond(self._tokenizer, model)
        stop_if_fatal([*beyond], None, self._config.base)
        if self._config.adapter != "none":
            add_adapters(model, self._config)
            return model
        if self._config.simulate_int8:
            simulate_int8(model)
        freeze(model, self._config.freeze, self._config.freeze_layers)
        return model

    def _trial_run(self, model: PreTrainedModel, rows: Any, folder: Path) -> None:
        """Train a model in place, as the run itself would, with all its seeds."""
        start = state_of(model) if self._config.seeds > 1 else {}
        states = []
        for number in range(self._config.seeds):
            if number:
                model.load_state_dict(start)
            self._train_once(model, rows, folder, number, "Cross-validation")
            if start:
                states.append(state_of(model))
        if states:
            model.load_state_dict(mean_of(states))
        refit(self._recipe, model, rows, self._tokenizer)

    def _again(self, rows: Any, probe: Probe | None) -> Callable[[int], PreTrainedModel]:
        """A function that trains a new model with another seed."""

        def run(number: int) -> PreTrainedModel:
            model = self._model()
            if probe is not None:
                probe.put(model, share=START)
            with TemporaryDirectory(dir=self._work.folder) as folder:
                self._train_once(model, rows, Path(folder), number, f"Seed {number + 1}")
            return model

        return run

    def _train_once(
        self, model: PreTrainedModel, rows: Any, folder: Path, number: int, part: str
    ) -> None:
        config = self._config.model_copy(update={"seed": self._config.seed + number})
        arguments = training_arguments(self._recipe, config, folder, evaluates=False, tracked=False)
        trainer = RecipeTrainer(
            self._recipe, config, model, arguments, self._tokenizer, rows, dict, []
        )
        trainer.show_progress(part)
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
        arguments = training_arguments(self._recipe, config, folder, evaluates=evaluates)
        kind = PrivateTrainer if config.private_epsilon else RecipeTrainer
        trainer = kind(
            self._recipe, config, model, arguments, self._tokenizer, rows, evaluator, callbacks
        )
        trainer.show_progress()
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
        self, model: PreTrainedModel, trial: Trial, scores: dict[str, float], facts: dict[str, Any]
    ) -> None:
        if self._config.adapter != "none":
            merge_adapters(model)
        with main_first() as main:
            if main:
                _users_log.info("%s", trial)
                trial.write(self._work.trial_file)
                _write(model, self._tokenizer, self._work, scores, facts)


def _finish(
    trainer: RecipeTrainer, recipe: Recipe, config: TrainConfig, work: Workspace
) -> dict[str, float]:
    """Keep the better of the best checkpoint and the average of the last ones, if configured."""
    key = f"eval_{recipe.metric}"
    scores = trainer.evaluate()
    last = complete_checkpoints(work.folder, EVALUATED)[-config.average :]
    if len(last) > 1:
        best = state_of(trainer.model)
        states = [load_file(path / "model.safetensors") for path in last]
        trainer.model.load_state_dict(mean_of(states), strict=False)
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


def _write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    work: Workspace,
    scores: dict[str, float],
    facts: dict[str, Any],
) -> None:
    with Staged(work.model, folder=True) as staged:
        model.save_pretrained(staged.path)
        save_tokenizer(tokenizer, staged.path)
        write_record(staged.path, model, tokenizer)
        staged.commit()
    work.finish(scores, {**facts, **group()})

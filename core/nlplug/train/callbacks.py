"""Callbacks of the training loop: which checkpoints are kept, signals, and the progress line."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nlplug.train.interrupt import Interruption
from nlplug.train.processes import any_process
from nlplug.train.workspace import COMPLETE, EVALUATED, complete_checkpoints


class KeepCheckpoints(TrainerCallback):
    """Marks the checkpoints that were evaluated, and deletes those that are not needed any more.

    Kept are the best one, the last evaluated ones, and the newest one, from which a run is resumed.
    So checkpoints that are saved by time change neither the selection nor the average.

    Args:
        evaluated: Number of last evaluated checkpoints to keep.
    """

    def __init__(self, evaluated: int) -> None:
        self._count = evaluated
        self._step = -1

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self._step = state.global_step

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir)
        if state.global_step == self._step:
            (folder / f"checkpoint-{self._step}" / EVALUATED).touch()
        saved = complete_checkpoints(folder)
        needed = {*saved[-1:], *complete_checkpoints(folder, EVALUATED)[-self._count :]}
        if state.best_model_checkpoint:
            needed.add(Path(state.best_model_checkpoint))
        for path in saved:
            if path not in needed:
                (path / COMPLETE).unlink()
                shutil.rmtree(path)


class StopOnSignal(TrainerCallback):
    """Saves a checkpoint and ends the loop after the step in which a signal was received.

    After the last step of an epoch the loop ends after the evaluation of the epoch, which a resumed
    run would not repeat.
    """

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._stopped = False

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: DataLoader[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not any_process(self._interruption.received is not None):
            return
        batches = len(train_dataloader) if train_dataloader is not None else 1
        if state.global_step % math.ceil(batches / args.gradient_accumulation_steps):
            control.should_save = control.should_training_stop = self._stopped = True

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if self._stopped:
            control.should_evaluate = control.should_save = False
        elif any_process(self._interruption.received is not None):
            control.should_save = control.should_training_stop = True


class ShowProgress(TrainerCallback):
    """Shows one line with step, loss, score, rate and remaining time on standard error.

    On a terminal the line is rewritten; elsewhere a new line is written at intervals.

    Args:
        loss: Returns the mean loss of the last steps; None before the first one.
        metric: Name of the score to show.
        seconds: Interval if standard error is not a terminal.
        left: Returns the seconds until a run of minutes ends; None: it has a number of steps.
        part: What is trained, if that is not the result itself, such as ``Cross-validation``.
    """

    def __init__(
        self,
        loss: Callable[[], float | None],
        metric: str,
        seconds: float,
        left: Callable[[], float] | None = None,
        part: str = "",
    ) -> None:
        self._left = left
        self._name = f"{part}: step" if part else "Step"
        self._loss = loss
        self._metric = metric
        self._terminal = sys.stderr.isatty()
        self._seconds = 0.2 if self._terminal else seconds
        self._score: float | None = None
        self._begin = self._shown = time.monotonic()
        self._first = 0

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self._begin = self._shown = time.monotonic()
        self._first = state.global_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if time.monotonic() - self._shown >= self._seconds:
            self._show(state)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._score = (metrics or {}).get(f"eval_{self._metric}", self._score)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self._show(state)
        if self._terminal and state.is_world_process_zero:
            print(file=sys.stderr)

    def _show(self, state: TrainerState) -> None:
        self._shown = time.monotonic()
        if not state.is_world_process_zero:
            return
        line = self._line(state)
        begin, end = ("\r\033[K", "") if self._terminal else ("", "\n")
        print(f"{begin}{line}", end=end, file=sys.stderr, flush=True)

    def _line(self, state: TrainerState) -> str:
        of = "" if self._left else f" of {state.max_steps:,}"
        parts = [f"{self._name} {state.global_step:,}{of}"]
        if (loss := self._loss()) is not None:
            parts.append(f"loss {loss:.4f}")
        if self._score is not None:
            parts.append(f"{self._metric} {self._score:.4f}")
        done, seconds = state.global_step - self._first, self._shown - self._begin
        if done and seconds:
            rate = done / seconds
            left = self._left() if self._left else (state.max_steps - state.global_step) / rate
            speed = f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step"
            parts += [speed, f"{duration(left)} left"]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time span as ``45 s``, ``3 min`` or ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

"""A run that ends after a time instead of a number of steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

ENDLESS = 1_000_000.0
"""Epochs of a run that a time ends."""
FALLING = 0.5
"""Share of the time, at the end, during which the learning rate falls to zero."""
_SPENT = "minutes"
"""File in a checkpoint: the minutes until it was saved."""


class EndInTime(TrainerCallback):
    """The learning rate by the time, and the end of the run when the time is over.

    The rate rises to its peak, stays there, and falls to zero at the end.

    Args:
        minutes: The time of the run. Evaluations are part of it.
        warmup: Share of the time during which the rate rises.
    """

    def __init__(self, minutes: float, warmup: float) -> None:
        self._minutes = minutes
        self._warmup = warmup
        self._begin = time.monotonic()

    @property
    def left(self) -> float:
        """The seconds until the run ends."""
        return max(0.0, 60 * (self._minutes - self._spent))

    @property
    def _spent(self) -> float:
        return (time.monotonic() - self._begin) / 60

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        # A resumed run goes on with the time that its checkpoint knows.
        file = _folder(args, state) / _SPENT
        spent = float(file.read_text()) if state.global_step and file.is_file() else 0.0
        self._begin = time.monotonic() - 60 * spent

    def factor(self, step: int) -> float:
        """The learning rate as a share of its peak, for ``LambdaLR``; the step does not matter."""
        done = min(1.0, self._spent / self._minutes)
        return min(1.0, done / self._warmup if self._warmup else 1.0, (1 - done) / FALLING)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if self._spent >= self._minutes:
            control.should_training_stop = control.should_save = True
            control.should_evaluate = args.eval_strategy != "no"

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        (_folder(args, state) / _SPENT).write_text(f"{self._spent:.4f}")


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"

"""Evaluates a model in training with the same code that answers in serving.

The rows pass through the task's encoding, windows and decoding, so the selected checkpoint is the
best one in serving.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nlplug.errors import OptionError
from nlplug.evaluation.base import evaluation_of, flat_metrics, options_of
from nlplug.export.sides import write_sides
from nlplug.export.torch_executor import TorchExecutor
from nlplug.families.one_pass import OnePassTask
from nlplug.models.bundle import Bundle
from nlplug.models.signature import Signature
from nlplug.runtime.engine import Engine
from nlplug.validation import make_input

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from nlplug.task import Task


class ServedEvaluation:
    """Evaluates a model on a file of labelled rows.

    Args:
        task: A `OnePassTask`.
        file: The rows.
        tokenizer: The tokenizer of the base.
        window: Maximum input length in serving, in tokens; None: the maximum of the model.
        options: Returns the defaults of task options for the config of a model.

    Attributes:
        metrics: Further scores by name: functions of the answers and targets.
    """

    def __init__(
        self,
        task: Task,
        file: Path,
        tokenizer: PreTrainedTokenizerBase,
        window: int | None,
        options: Callable[[PretrainedConfig], dict[str, Any]],
    ) -> None:
        if not isinstance(task, OnePassTask):
            raise TypeError(
                f"{type(task).__name__} is not a OnePassTask; override Recipe.evaluator."
            )
        self._task = task
        self._file = file
        self._tokenizer = tokenizer
        self._window = window
        self._options = options
        self.metrics: dict[str, Callable[[Sequence[Any], Sequence[Any]], float]] = {}

    def __call__(self, model: Any) -> dict[str, float]:
        """The numbers of the report of the family's scoring."""
        with draft_of(model, self._tokenizer, self._window) as bundle:
            evaluation = evaluation_of(self._task, bundle.labels)
            options = options_of(self._task, evaluation, self._options(model.config))
            samples = list(evaluation.samples(self._file))
            bound = self._task.bind(bundle)
            signature = Signature.of_names(
                self._tokenizer.model_input_names, sorted(bound.required_outputs)
            )
            engine = Engine(TorchExecutor(model, signature), bound)
            try:
                inputs = (make_input(self._task, sample.input) for sample in samples)
                answers = list(engine.map(inputs, options))
            finally:
                engine.close()
        targets = [sample.target for sample in samples]
        scores = flat_metrics(evaluation.report(answers, targets))
        for name, metric in self.metrics.items():
            if name in scores:
                raise OptionError(
                    f"The metric has the name {name!r}, which is that of a score of the task.",
                    hint="Give the function another name.",
                )
            scores[name] = _number(name, metric(answers, targets))
        return scores


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float | np.number) or not np.isfinite(value):
        raise OptionError(
            f"The metric {name} returned {value!r}.", hint="It must return a finite number."
        )
    return float(value)


@contextmanager
def draft_of(
    model: Any, tokenizer: PreTrainedTokenizerBase, window: int | None
) -> Iterator[Bundle]:
    """A bundle of a model in training, without graphs.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        window: Maximum input length in tokens; None: the maximum of the model.
    """
    with tempfile.TemporaryDirectory(prefix="nlplug-") as folder:
        write_sides(model, tokenizer, Path(folder), max_length=window)
        yield Bundle.open(Path(folder), graphs=False)


@contextmanager
def in_evaluation(model: torch.nn.Module) -> Iterator[None]:
    """Set the model to eval mode, and restore its mode afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)

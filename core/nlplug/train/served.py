"""Scores of a model in training, by the very code that answers once it is served.

The rows go through the task's own encoding, windows and decoding, so the checkpoint that is kept
is the best one of those that will answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

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
    """Scores a model on a file of labelled rows.

    Args:
        task: A task that binds bundles.
        file: The rows.
        tokenizer: The tokenizer of the base.
        window: The longest input in tokens once the model is served; None for the model's own.
        options: From the config of the model to its own defaults of the task's options.
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
            raise TypeError(f"{type(task).__name__} is no OnePassTask; override Recipe.evaluator.")
        self._task = task
        self._file = file
        self._tokenizer = tokenizer
        self._window = window
        self._options = options

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
        return flat_metrics(evaluation.report(answers, [sample.target for sample in samples]))


@contextmanager
def draft_of(
    model: Any, tokenizer: PreTrainedTokenizerBase, window: int | None
) -> Iterator[Bundle]:
    """The bundle that a model in training would be, without its graphs.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        window: The longest input in tokens; None for the model's own.
    """
    with tempfile.TemporaryDirectory(prefix="nlplug-") as folder:
        write_sides(model, tokenizer, Path(folder), max_length=window)
        yield Bundle.open(Path(folder), graphs=False)


@contextmanager
def in_evaluation(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode, and afterwards in the mode that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)

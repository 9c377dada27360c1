"""Scores of a model in training, by the very code that answers once it is served.

The rows go through the task's own encoding, windows and decoding, so the checkpoint that is kept
is the best one of those that will answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nlplug.evaluation.base import evaluation_of, flat_metrics, options_of
from nlplug.export.sides import write_sides
from nlplug.export.torch_executor import TorchExecutor
from nlplug.models.bundle import Bundle
from nlplug.runtime.engine import Engine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from nlplug.train.recipe import Recipe


class ServedEvaluation:
    """Scores a model on a file of labelled rows.

    Args:
        recipe: Of a family whose tasks bind a bundle (`nlplug.families.one_pass.OnePassTask`).
        file: The rows.
        tokenizer: The tokenizer of the base.
    """

    def __init__(self, recipe: Recipe, file: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self._recipe = recipe
        self._file = file
        self._tokenizer = tokenizer

    def __call__(self, model: Any) -> dict[str, float]:
        """The numbers of the report of the family's scoring."""
        task: Any = self._recipe.task
        with draft_of(model, self._tokenizer, self._recipe.config.window) as bundle:
            evaluation = evaluation_of(task, bundle.labels)
            options = options_of(task, evaluation, self._recipe.options(model.config))
            samples = list(evaluation.samples(self._file))
            bound = task.bind(bundle)
            executor = TorchExecutor(
                model,
                input_names=frozenset(self._tokenizer.model_input_names),
                output_names=tuple(sorted(bound.required_outputs)),
            )
            engine = Engine(executor, bound)
            try:
                inputs = (task.Input.model_validate(sample.input) for sample in samples)
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

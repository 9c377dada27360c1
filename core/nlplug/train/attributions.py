"""Gradient attributions: the weights of words by integrated gradients of a PyTorch checkpoint.

Integrated gradients: Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365. The words, the
target and the token that replaces words are those of the explanations that need no gradients
(`nlplug.explanations`), so the weights of both can be compared word by word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nlplug.errors import OptionError
from nlplug.explanations.contract import ExplainableModel, Outputs, Target
from nlplug.explanations.result import ExplainedTarget, WordWeight
from nlplug.explanations.run import weighed
from nlplug.explanations.words import Units, units_of
from nlplug.export.checkpoint import load_checkpoint
from nlplug.export.torch_executor import TorchExecutor
from nlplug.families.one_pass import OnePassTask
from nlplug.models.signature import Signature
from nlplug.runtime.engine import Engine
from nlplug.runtime.model import Row
from nlplug.train.served import draft_of
from nlplug.validation import make_input, make_options

if TYPE_CHECKING:
    from nlplug.task import Task

_STEP = 1e-3
"""Step of the central differences of the target, in units of the outputs."""


@dataclass(frozen=True)
class Attribution:
    """The weights of the words of an input for one target.

    Attributes:
        target: What is explained.
        value: The value of the target, in log odds.
        baseline: The same with all words replaced. The weights add up to the difference of both,
            up to the error of the steps.
        words: The words with their weights.
    """

    target: ExplainedTarget
    value: float
    baseline: float
    words: Sequence[WordWeight]


def integrated_gradients(
    task: Task, checkpoint: str | Path, inputs: Any, *, steps: int = 50, **options: Any
) -> Attribution | None:
    """Explain the answer of a checkpoint to one input.

    Args:
        task: A task whose answers can be explained.
        checkpoint: Folder or Hub id.
        inputs: One input of the task: a text, or a dict of fields.
        steps: Number of points between the baseline and the input.
        **options: Options of the task, such as ``explain_label``.

    Returns:
        The weights; None if there is nothing to explain, such as no entity.

    Raises:
        OptionError: The answers of the task cannot be explained, or an option is invalid.
        ExportError: The checkpoint cannot be loaded.
    """
    if steps < 1:
        raise OptionError(f"steps is {steps}.", hint="Give a whole number from 1 up.")
    loaded = load_checkpoint(checkpoint, task)
    network = loaded.model.eval()
    parsed, item = make_options(task, options), make_input(task, inputs)
    with draft_of(network, loaded.tokenizer, None) as bundle:
        model = task.bind(bundle) if isinstance(task, OnePassTask) else None
        if not isinstance(model, ExplainableModel) or model.stand_in is None:
            raise OptionError(
                f"The answers of the task {task.name!r} cannot be explained with this model.",
                hint="Use a task and a model whose answers can be explained.",
            )
        names = loaded.tokenizer.model_input_names
        signature = Signature.of_names(names, sorted(model.required_outputs))
        engine = Engine(TorchExecutor(network, signature), model)
        try:
            [rows] = model.encode([item], parsed)
            [outputs] = engine.outputs([item], parsed)
        finally:
            engine.close()
        answer = model.decode(item, rows, outputs, parsed)
        target = model.target(item, rows, outputs, answer, parsed)
        if target is None:
            return None
        texts, places = model.texts(item), model.places(item, rows, parsed)
        own = [rows[window] for window in target.windows]
        units = units_of(texts, [places[window] for window in target.windows])
        return _explained(_Path(network, model, own, units, target), texts, steps)


def agreement(first: Attribution, weights: Sequence[WordWeight]) -> float:
    """Pearson correlation of the weights of the same words; NaN for fewer than two words.

    Args:
        first: Weights by gradients.
        weights: Weights of the words of the same text by another method.
    """
    known = {(word["field"], word["start"]): word["weight"] for word in weights}
    pairs = [
        (word["weight"], known[place])
        for word in first.words
        if (place := (word["field"], word["start"])) in known
    ]
    if len(pairs) < 2:
        return float("nan")
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


class _Path:
    """Values and gradients between the input with all words replaced and the input."""

    def __init__(
        self,
        network: Any,
        model: ExplainableModel[Any, Any],
        rows: Sequence[Row],
        units: Units,
        target: Target,
    ) -> None:
        self._network, self._model, self._rows = network, model, rows
        self.units, self.target = units, target
        table = network.get_input_embeddings()
        self._inputs: list[torch.Tensor] = []
        self._replaced: list[torch.Tensor] = []
        with torch.no_grad():
            for row, tokens in zip(rows, units.tokens, strict=True):
                ids = np.asarray(row.features["input_ids"])
                gone = np.where(tokens >= 0, model.stand_in or 0, ids)
                for kept, chosen in ((self._inputs, ids), (self._replaced, gone)):
                    kept.append(table(torch.from_numpy(chosen.astype(np.int64))[None]))

    def at(self, share: float) -> tuple[float, list[torch.Tensor]]:
        """The value of the target, and its gradient by the embeddings of each row.

        Args:
            share: 0 for the baseline, 1 for the input.
        """
        embeddings = [
            (before + share * (after - before)).detach().requires_grad_()
            for before, after in zip(self._replaced, self._inputs, strict=True)
        ]
        tensors = [
            self._outputs(row, values) for row, values in zip(self._rows, embeddings, strict=True)
        ]
        arrays = [
            {name: tensor[0].detach().double().numpy() for name, tensor in own.items()}
            for own in tensors
        ]
        slopes = _slopes(self._value, arrays)
        flat = [
            (own[name], slope[name])
            for own, slope in zip(tensors, slopes, strict=True)
            for name in own
        ]
        gradients = torch.autograd.grad(
            [tensor for tensor, _ in flat],
            embeddings,
            [torch.from_numpy(slope)[None].to(tensor.dtype) for tensor, slope in flat],
        )
        return self._value(arrays), list(gradients)

    @property
    def differences(self) -> list[torch.Tensor]:
        """Input minus baseline, for each row (1, tokens, width)."""
        return [a - b for a, b in zip(self._inputs, self._replaced, strict=True)]

    def _outputs(self, row: Row, embeddings: torch.Tensor) -> dict[str, torch.Tensor]:
        size = embeddings.shape[1]
        feeds = {"attention_mask": torch.ones((1, size), dtype=torch.int64)}
        if "token_type_ids" in row.features:
            kinds = np.asarray(row.features["token_type_ids"]).astype(np.int64)
            feeds["token_type_ids"] = torch.from_numpy(kinds)[None]
        found = self._network(inputs_embeds=embeddings, **feeds, return_dict=True)
        return {name: found[name] for name in sorted(self._model.required_outputs)}

    def _value(self, arrays: Sequence[Outputs]) -> float:
        pairs = zip(self._rows, arrays, strict=True)
        return self.target.value([self._model.condense(row, own) for row, own in pairs])


def _slopes(
    value: Callable[[Sequence[Outputs]], float], arrays: Sequence[dict[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """The derivative of the target by each output, by central differences in float64.

    A target is a function of arrays, so PyTorch cannot derive it; it has few inputs.
    """
    found = []
    for own in arrays:
        slopes = {name: np.zeros_like(array) for name, array in own.items()}
        for name, array in own.items():
            for place in np.ndindex(array.shape):
                kept = array[place]
                array[place] = kept + _STEP
                above = value(arrays)
                array[place] = kept - _STEP
                slopes[name][place] = (above - value(arrays)) / (2 * _STEP)
                array[place] = kept
        found.append(slopes)
    return found


def _explained(path: _Path, texts: Mapping[str, str], steps: int) -> Attribution:
    """The weights, by the midpoint rule."""
    sums = [torch.zeros_like(one) for one in path.differences]
    for step in range(steps):
        _, gradients = path.at((step + 0.5) / steps)
        sums = [before + one / steps for before, one in zip(sums, gradients, strict=True)]
    units = path.units
    weights = np.zeros(len(units))
    for total, change, tokens in zip(sums, path.differences, units.tokens, strict=True):
        by_token = (total * change).sum(-1)[0].double().numpy()
        inside = tokens >= 0
        np.add.at(weights, tokens[inside], by_token[inside])
    (value, _), (baseline, _) = path.at(1.0), path.at(0.0)
    return Attribution(path.target.name, value, baseline, weighed(texts, units, weights))

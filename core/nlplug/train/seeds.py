"""Several runs with different seeds, and the mean of their weights.

The mean of runs that start from the same weights is often better than each of them (Wortsman et al.
2022, https://arxiv.org/abs/2203.05482).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nlplug.models.atomic import Staged
from nlplug.train.served import in_evaluation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlplug.train.recipe import Evaluator, Recipe

_log = logging.getLogger("nlplug.train")

State = Mapping[str, torch.Tensor]
Run = Callable[[int], "PreTrainedModel"]
"""Trains a model with the seed of the run plus a number, and returns it."""


def mean_of(states: Sequence[State]) -> dict[str, torch.Tensor]:
    """The mean of weights; whole numbers are those of the first."""
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def state_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def put_mean(model: PreTrainedModel, run: Run, seeds: int, folder: Path) -> None:
    """Make the weights of a model the mean of its own and of those of further runs."""
    states = [state_of(model), *(_trained(run, number, folder)[0] for number in range(1, seeds))]
    model.load_state_dict(mean_of(states))


def put_best(
    model: PreTrainedModel,
    run: Run,
    seeds: int,
    folder: Path,
    *,
    recipe: Recipe,
    evaluator: Evaluator,
    scores: dict[str, float],
) -> dict[str, float]:
    """Make the weights of a model the mean of several runs, or those of the best run.

    Args:
        model: The model of the first run.
        run: Trains a further one.
        seeds: Number of runs.
        folder: Stores finished runs, so that a resumed run does not repeat them.
        recipe: Its metric decides; the mean is kept if it is not worse.
        evaluator: Scores a model.
        scores: The scores of the first run.

    Returns:
        The scores of the weights that were kept.
    """
    found: list[tuple[State, dict[str, float]]] = [(state_of(model), scores)]
    for number in range(1, seeds):
        found.append(_trained(run, number, folder, evaluator))
    mean = mean_of([state for state, _ in found])
    model.load_state_dict(mean)
    sign = 1 if recipe.higher_is_better else -1
    best = max(found, key=lambda pair: sign * pair[1][recipe.metric])
    with in_evaluation(model):
        averaged = evaluator(model)
    listed = ", ".join(f"{own[recipe.metric]:.4f}" for _, own in found)
    _log.info("Seeds: %s %s; mean %.4f", recipe.metric, listed, averaged[recipe.metric])
    if sign * averaged[recipe.metric] >= sign * best[1][recipe.metric]:
        return averaged
    model.load_state_dict(best[0])
    return best[1]


def _trained(
    run: Run, number: int, folder: Path, evaluator: Evaluator | None = None
) -> tuple[State, dict[str, float]]:
    """The weights and scores of a further run, which is not repeated if it is stored."""
    file = folder / f"seed-{number}.safetensors"
    if file.is_file():
        with safe_open(file, "pt") as stored:
            return load_file(file), json.loads(stored.metadata()["scores"])
    model = run(number)
    scores: dict[str, float] = {}
    if evaluator is not None:
        with in_evaluation(model):
            scores = evaluator(model)
    state = {name: value.contiguous() for name, value in state_of(model).items()}
    with Staged(file) as staged:
        save_file(state, staged.path, metadata={"scores": json.dumps(scores)})
        staged.commit()
    return state, scores

"""Search for settings within a time budget, before the run itself."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from nlplug.errors import OptionError
from nlplug.extras import require
from nlplug.train.ways import EXTRA

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig
    from nlplug.train.recipe import Recipe

Settings = TypeVar("Settings", bound="TrainConfig")
_log = logging.getLogger("nlplug.train")
_BATCHES = (8, 16, 32, 64)
_SEARCHED = ("learning_rate", "epochs", "batch_size", "layer_decay")


@dataclass
class Search:
    """The settings that were tried.

    Attributes:
        metric: The score.
        minutes: The budget.
        tried: For each trial the settings and their score, in order; the first has those of the
            plan.
        best: The settings with the best score.
    """

    metric: str
    minutes: float
    tried: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def search(
    recipe: Recipe,
    config: TrainConfig,
    train: Sequence[Any],
    held_out: Sequence[Any],
    folds: Sequence[int],
    given: set[str],
) -> Search:
    """Try settings until the time is over; at least those of the plan.

    Each trial trains on the training rows and is scored on the evaluation rows, or by
    cross-validation if there are none. A trial that has begun is finished, so that a search may
    take longer than its budget by one trial.

    Args:
        recipe: The recipe, which has read the training rows.
        config: The planned settings, with ``search_minutes``.
        train: Training rows.
        held_out: Evaluation rows; may be empty.
        folds: The fold of each training row if there are no evaluation rows.
        given: Names of the settings that the user gave, which are not searched.

    Raises:
        OptionError: All settings that can be searched are given.
        MissingExtra: The package optuna is not installed.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM.
    """
    from nlplug.train.loop import trial_of
    from nlplug.train.workspace import Workspace

    optuna = require("optuna", EXTRA, purpose="A search for settings")
    names = [name for name in _SEARCHED if name not in given and name in type(config).model_fields]
    if "batch_tokens" in given and "batch_size" in names:
        names.remove("batch_size")
    if not names:
        raise OptionError(
            "search_minutes is given, and so are all settings that could be searched.",
            hint=f"Leave out one of {', '.join(_SEARCHED)}.",
        )
    found = Search(recipe.metric, float(config.search_minutes or 0.0))
    examples = [*train, *held_out]
    parts = [*([1] * len(train)), *([0] * len(held_out))] if held_out else [*folds]

    def objective(trial: Any) -> float:
        values = {name: _suggest(trial, name, getattr(config, name)) for name in names}
        own = config.model_copy(update=values | {"seeds": 1, "report_to": []})
        candidate = copy.copy(recipe)
        candidate.config = own
        with TemporaryDirectory() as folder:
            work = Workspace(Path(folder), own, None, finished=False)
            most = 1 if held_out else None
            score = trial_of(candidate, own, work, examples, parts, most=most).tuned or 0.0
        found.tried.append({**values, "score": score})
        shown = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
        _log.info("Search %d: %s: %s %.4f", len(found.tried), shown, found.metric, score)
        return score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if recipe.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=config.seed),
    )
    study.enqueue_trial({name: getattr(config, name) for name in names})
    study.optimize(objective, timeout=60 * found.minutes)
    found.best = found.tried[study.best_trial.number]
    return found


def searched(config: Settings, found: Search) -> Settings:
    """The settings with the best ones of a search."""
    best = {name: value for name, value in found.best.items() if name != "score"}
    return config.model_copy(update=best)


def _suggest(trial: Any, name: str, planned: Any) -> Any:
    """A value near that of the plan."""
    if name == "learning_rate":
        return trial.suggest_float(name, planned / 4, planned * 4, log=True)
    if name == "epochs":
        return trial.suggest_float(name, max(1.0, planned / 2), max(2.0, planned * 1.5), step=0.5)
    if name == "batch_size":
        return trial.suggest_categorical(name, sorted({*_BATCHES, planned}))
    return trial.suggest_float(name, 0.7, 1.0, step=0.05)

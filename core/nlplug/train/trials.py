"""Which is better on rows that did not train it: the linear probe, or the fine-tuned model?"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nlplug.data.writers import open_writer
from nlplug.train.probe import START, Probe, can_probe, fit_probe
from nlplug.train.served import in_evaluation

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.recipe import Evaluator, Recipe
    from nlplug.train.workspace import Workspace

_log = logging.getLogger("nlplug.train")
_ENOUGH = 100
"""Number of scored rows after which no further fold is trained."""
_LEAD = 3
"""Number of rows by which the probe must lead for fine-tuning to be rejected.

Fine-tuning is better on most data, and the score of few rows is mostly chance: on 32 rows of AG
News, a probe that led by one row was 11 points worse on other rows. See docs/defaults.md.
"""

Train = Callable[["PreTrainedModel", Any], None]
"""Fine-tunes a model on a training set, in place."""


@dataclass
class Trial:
    """Scores of the probe and of the fine-tuned model on the same rows, which trained neither.

    Attributes:
        metric: Name of the score.
        higher_is_better: Whether a higher score is better.
        rows: Number of rows that were scored.
        folds: Number of folds of a cross-validation; 0: the rows were held out.
        probe: Score of the probe; None if there was none.
        tuned: Score of the fine-tuned model; None before it was trained.
        baselines: Scores of trivial answers, by name.
    """

    metric: str
    higher_is_better: bool
    rows: int
    folds: int = 0
    probe: float | None = None
    tuned: float | None = None
    baselines: dict[str, float] = field(default_factory=dict)

    @property
    def keeps_probe(self) -> bool:
        """Whether the probe leads, by more than chance explains."""
        return self._lead is not None and self._lead >= self._needed

    @property
    def _lead(self) -> float | None:
        """By how much the probe is better than the fine-tuned model; negative if it is worse."""
        if self.probe is None or self.tuned is None:
            return None
        lead = self.probe - self.tuned
        return lead if self.higher_is_better else -lead

    @property
    def _needed(self) -> float:
        """The lead that the probe needs: that of some rows, where the score is a share of them."""
        values = (self.probe or 0.0, self.tuned or 0.0)
        is_share = self.higher_is_better and min(values) >= 0.0 and max(values) <= 1.0
        # Means over folds are rounded.
        return _LEAD / max(self.rows, 1) - 1e-9 if is_share else 0.0

    @property
    def score(self) -> float | None:
        """The score of the one that is kept."""
        return self.probe if self.keeps_probe else self.tuned

    def beaten_by(self) -> str | None:
        """The name of a trivial answer that is not worse than the result; None if there is none."""
        for name, value in self.baselines.items():
            gain = (self.score or 0.0) - value
            if gain <= 0 if self.higher_is_better else gain >= 0:
                return name
        return None

    def __str__(self) -> str:
        where = f"{self.folds} folds of cross-validation" if self.folds else "held-out rows"
        scores = {**self.baselines, "probe": self.probe, "fine-tuned": self.tuned}
        shown = ", ".join(
            f"{name} {value:.4f}" for name, value in scores.items() if value is not None
        )
        kept = "the probe" if self.keeps_probe else "the fine-tuned model"
        if self._lead is not None and 0 < self._lead < self._needed:
            kept += f", because a lead of fewer than {_LEAD} rows can be chance"
        return f"{self.metric} on {self.rows:,} rows ({where}): {shown}. Kept: {kept}."

    def write(self, file: Path) -> None:
        """Store as JSON."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Trial | None:
        """The stored trial; None if there is none."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def put_probe(
    recipe: Recipe, model: PreTrainedModel, train_set: Any, tokenizer: PreTrainedTokenizerBase
) -> Probe | None:
    """Fit a probe and make it the output layer of the model; None if there can be none."""
    if not can_probe(recipe, model):
        return None
    probe = fit_probe(recipe, model, train_set, tokenizer)
    probe.put(model)
    return probe


def refit(
    recipe: Recipe, model: PreTrainedModel, train_set: Any, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Fit the output layer to the vectors, if the fine-tuning did not train it."""
    if recipe.refits:
        put_probe(recipe, model, train_set, tokenizer)


def refitting(
    recipe: Recipe, evaluator: Evaluator, train_set: Any, tokenizer: PreTrainedTokenizerBase
) -> Evaluator:
    """The evaluator, which fits the output layer first if the fine-tuning does not train it."""
    if not recipe.refits:
        return evaluator

    def evaluate(model: Any) -> dict[str, float]:
        refit(recipe, model, train_set, tokenizer)
        return evaluator(model)

    return evaluate


def score_of(evaluator: Callable[[Any], Mapping[str, float]], model: Any, metric: str) -> float:
    """The main metric of a model."""
    with in_evaluation(model):
        return float(evaluator(model)[metric])


def cross_validate(
    recipe: Recipe,
    examples: Sequence[Any],
    folds: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    work: Workspace,
    *,
    model: Callable[[], PreTrainedModel],
    train: Train,
    most: int | None = None,
) -> Trial:
    """Compare the probe with fine-tuning on folds of the training rows.

    Each fold is scored by models that were trained on the others. With many rows only as many
    folds are used as are needed to score 100 rows.

    Args:
        recipe: The recipe, which knows the labels of all rows.
        examples: All rows.
        folds: The fold of each row, counted from 0.
        tokenizer: The tokenizer of the base.
        work: Folder for the rows of a fold.
        model: Makes a model with the weights of the base.
        train: Fine-tunes it.
        most: Largest number of folds; None: all that are needed.
    """
    trial = Trial(recipe.metric, recipe.higher_is_better, rows=0)
    scored: list[Any] = []
    for fold in range(max(folds) + 1):
        held = [example for example, own in zip(examples, folds, strict=True) if own == fold]
        others = [example for example, own in zip(examples, folds, strict=True) if own != fold]
        _write(recipe, held, work.fold_file)
        candidate = model()
        evaluator = recipe.evaluator(work.fold_file, held, tokenizer)
        found: dict[str, float] = {}
        train_set = recipe.dataset(others, tokenizer)
        if (probe := put_probe(recipe, candidate, train_set, tokenizer)) is not None:
            found["probe"] = score_of(evaluator, candidate, trial.metric)
            probe.put(candidate, share=START)
        train(candidate, train_set)
        found["tuned"] = score_of(evaluator, candidate, trial.metric)
        _log.info("Fold %d: %s", fold + 1, _shown(found))
        _add(trial, found, len(held))
        scored += held
        if trial.rows >= _ENOUGH or trial.folds == most:
            break
    # Of all folds together: the most frequent label of a fold of one row is always right.
    _write(recipe, scored, work.fold_file)
    trial.baselines = recipe.trivial_scores(candidate.config, work.fold_file)
    work.fold_file.unlink(missing_ok=True)
    return trial


def _write(recipe: Recipe, examples: Sequence[Any], file: Path) -> None:
    with open_writer(file) as writer:
        for example in examples:
            writer.write(recipe.row(example))


def _shown(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def _add(trial: Trial, scores: Mapping[str, float], rows: int) -> None:
    """Include the scores of a fold in the means, which are weighted by the numbers of rows."""
    share = rows / (trial.rows + rows)

    def mean(earlier: float | None, value: float) -> float:
        return value if earlier is None else earlier + share * (value - earlier)

    probe = scores.get("probe")
    trial.probe = None if probe is None else mean(trial.probe, probe)
    trial.tuned = mean(trial.tuned, scores["tuned"])
    trial.rows += rows
    trial.folds += 1


def save_probe(probe: Probe, file: Path) -> None:
    """Store a probe."""
    torch.save({"weight": probe.weight, "bias": probe.bias}, file)


def load_probe(file: Path) -> Probe | None:
    """The stored probe; None if there is none."""
    if not file.is_file():
        return None
    values = torch.load(file, weights_only=True)
    return Probe(values["weight"], values["bias"])

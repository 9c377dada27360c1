"""Training of sequence classifiers with one or several labels per text."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification

from nlplug.data.rows import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.export.pooling import KEY, pooling_of
from nlplug.families.sequence_classification.contents import LabelledTexts
from nlplug.families.sequence_classification.temperature import MIN_ROWS, fit_temperature, improves
from nlplug.models.resolve import resolve
from nlplug.pipelines import Pipeline
from nlplug.settings import load_settings
from nlplug.train.checkpoint import load_base
from nlplug.train.plan import FEW_ROWS, FEWEST_ROWS
from nlplug.train.processes import is_alone
from nlplug.train.recipe import Recipe
from nlplug.train.served import in_evaluation
from nlplug.train.teacher import check_labels, softened
from nlplug.train.windows import WindowedTexts, stacked

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
    from nlplug.task import Task

_FEW_LABELS = 20
"""With more labels a batch has hardly any two rows with the same label."""
_CONTRAST = 5.0
_log = logging.getLogger("nlplug.data")


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text, the ids of its labels (one unless multi-label), and optional soft labels."""

    text: str
    labels: tuple[int, ...]
    soft: tuple[float, ...] | None = None


class SequenceClassificationRecipe(Recipe):
    """Fine-tunes ``AutoModelForSequenceClassification``.

    Labels in the data are names, or ids of the labels; see `LabelledTexts`.
    """

    config: SequenceClassificationConfig

    def __init__(self, task: Task, config: SequenceClassificationConfig) -> None:
        super().__init__(task, config)
        self.contents = LabelledTexts(task, config)
        self.weights: torch.Tensor | None = None
        self.contrast = 0.0
        self._pairs_alone = False
        self._check_labels()

    @property
    def probes(self) -> bool:
        return self.config.probe

    def key(self, row: DataRow) -> str:
        return self.contents.key(row)

    @property
    def labels(self) -> list[str]:
        """The labels by id."""
        return self.contents.labels

    @property
    def reads_vectors(self) -> bool:
        return self.contrast > 0

    @property
    def refits(self) -> bool:
        return self._pairs_alone

    @property
    def _is_soft(self) -> bool:
        """Whether a row has a number for each label, and not the id of one."""
        return bool(self.config.soft_column or self.config.teacher)

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels."""
        return self.contents.scheme.several

    def fit(self, rows: Sequence[DataRow]) -> None:
        self.contents.fit(rows)
        self.contrast = self._contrast(len(rows))
        self._pairs_alone = self._compares_pairs_alone(len(rows))
        if self._pairs_alone:
            _log.info("The loss compares pairs of rows; the output layer is fitted afterwards.")
        elif self.contrast and self.config.contrast is None:
            _log.info("The loss also compares pairs of rows (--contrast %g).", self.contrast)
        if self.config.class_weights == "balanced":
            counts = Counter(i for example in self.examples(rows) for i in example.labels)
            self.weights = balanced_weights(counts, len(self.labels), len(rows), self.multi_label)

    def examples(self, rows: Iterable[DataRow]) -> list[LabelledText]:
        return [
            LabelledText(self.contents.key(row), self.contents.ids(row), self._soft(row))
            for row in rows
        ]

    def taught(
        self, examples: Sequence[LabelledText], texts: Iterable[DataRow]
    ) -> list[LabelledText]:
        """See `Recipe.taught`: soft labels, which are softened scores mixed with the labels."""
        share = self.config.teacher_share
        more = [self.contents.key(row) for row in texts]
        found = self._scores([*(example.text for example in examples), *more])
        known = [replace(each, soft=None) for each in examples]  # the teacher replaces the column
        targets = np.stack([self._target(example) for example in known]) if known else found[:0]
        mixed = (1 - share) * targets + share * found[: len(known)]
        return [
            *(replace(each, soft=tuple(row)) for each, row in zip(known, mixed, strict=True)),
            *(
                LabelledText(text, self._likely(row), tuple(row))
                for text, row in zip(more, found[len(known) :], strict=True)
            ),
        ]

    def _scores(self, texts: Sequence[str]) -> np.ndarray:
        """The scores of the teacher, softened by the temperature, shape (texts, labels)."""
        with Pipeline(self.task, resolve(self.config.teacher)) as teacher:
            check_labels(self.config.teacher, teacher.bundle.labels, self.labels)
            answers = teacher.answers(texts, top_k=None, min_score=0.0, on_foreign="ignore")
            scores = [{each["label"]: each["score"] for each in answer} for answer in answers]
        array = np.array([[row[label] for label in self.labels] for row in scores])
        if not self.multi_label:
            return softened(array, self.config.teacher_temperature)
        both = np.stack([array, 1 - array], axis=-1)  # each label is a choice of its own
        return softened(both, self.config.teacher_temperature)[..., 0]

    def _likely(self, scores: np.ndarray) -> tuple[int, ...]:
        if self.multi_label:
            return tuple(np.flatnonzero(scores >= 0.5).tolist())
        return (int(scores.argmax()),)

    def stratum(self, example: LabelledText) -> str:
        return str(example.labels)

    def row(self, example: LabelledText) -> dict[str, Any]:
        names = [self.labels[i] for i in example.labels]
        label = {"labels": names} if self.multi_label else {"label": names[0]}
        return {"text": example.text, **label}

    def model(self) -> PreTrainedModel:
        problem = "multi" if self.multi_label else "single"
        values: dict[str, Any] = {"problem_type": f"{problem}_label_classification"}
        if found := self._pooling():
            values[KEY] = found
        return load_base(
            self.config, AutoModelForSequenceClassification, labels=self.labels, **values
        )

    def dataset(
        self, examples: Sequence[LabelledText], tokenizer: PreTrainedTokenizerBase
    ) -> WindowedTexts:
        return WindowedTexts(
            [example.text for example in examples],
            [self._target(example) for example in examples],
            tokenizer,
            max_length=self.config.max_length,
            seed=self.config.seed,
        )

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        return stacked(features, tokenizer)

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        pairs = pair_loss(outputs["vectors"], labels) if "vectors" in outputs else None
        if pairs is not None and self._pairs_alone:
            return pairs
        logits = outputs["logits"].float()
        weights = self.weights.to(logits.device) if self.weights is not None else None
        smoothing = self.config.label_smoothing
        if self.multi_label:
            target = labels * (1 - smoothing) + 0.5 * smoothing
            return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weights)
        loss = F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
        return loss if pairs is None else loss + self.contrast * pairs

    def calibrate(
        self,
        model: PreTrainedModel,
        examples: Sequence[LabelledText],
        tokenizer: PreTrainedTokenizerBase,
    ) -> dict[str, float]:
        """Divide the weights of the last layer by the temperature; see `fit_temperature`."""
        heads = [
            part
            for part in model.modules()
            if isinstance(part, torch.nn.Linear) and part.out_features == len(self.labels)
        ]
        if not self.config.calibrate or len(examples) < MIN_ROWS or not heads:
            return {}
        logits, targets = self._logits(model, examples, tokenizer)
        temperature = fit_temperature(logits, targets)
        if temperature is None or not improves(logits, targets):
            return {}
        _scale(heads[-1], 1 / temperature)
        sample = examples[: self.config.batch_size]
        scaled, _ = self._logits(model, sample, tokenizer)
        if not np.allclose(scaled * temperature, logits[: len(scaled)], rtol=1e-2, atol=1e-2):
            _scale(heads[-1], temperature)  # the layer is not the last one
            return {}
        return {"temperature": temperature}

    def _logits(
        self,
        model: PreTrainedModel,
        examples: Sequence[LabelledText],
        tokenizer: PreTrainedTokenizerBase,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits, shape (rows, labels), and the ids of the labels or their 0 and 1."""
        loader: DataLoader[Any] = DataLoader(
            self.dataset(examples, tokenizer),
            batch_size=self.config.batch_size,
            collate_fn=lambda features: self.collate(features, tokenizer),
        )
        found = []
        with in_evaluation(model), torch.inference_mode():
            for batch in loader:
                batch.pop("labels")
                placed = {name: value.to(model.device) for name, value in batch.items()}
                found.append(model(**placed)["logits"].float().cpu().numpy())
        targets = np.zeros((len(examples), len(self.labels)))
        for row, example in enumerate(examples):
            targets[row, list(example.labels)] = 1
        return np.concatenate(found), targets if self.multi_label else targets.argmax(axis=1)

    def options(self, config: PretrainedConfig) -> dict[str, Any]:
        """With several labels per text: all labels with a score of at least one half."""
        several = config.problem_type == "multi_label_classification"
        wanted = {"top_k": None, "threshold": 0.5} if several else {}
        return wanted if wanted.keys() <= self.task.Options.model_fields.keys() else {}

    def _contrast(self, rows: int) -> float:
        """The weight of the loss on pairs of rows."""
        if self.multi_label or self._is_soft:
            return 0.0
        if self.config.contrast is not None:
            return self.config.contrast
        few = rows < FEW_ROWS and len(self.labels) <= _FEW_LABELS
        return _CONTRAST if few and self._pooling() is not None else 0.0

    def _compares_pairs_alone(self, rows: int) -> bool:
        """Whether the labels are left out of the loss, if nothing else is asked for."""
        chosen = self.contrast > 0 and self.config.contrast is None
        # With several processes all weights need a gradient, also those of the output layer.
        return chosen and self.probes and rows < FEWEST_ROWS and is_alone()

    def _pooling(self) -> str | None:
        """The pooling of the model; None if it is that of the classifiers of transformers."""
        if self.config.pooling == "model":
            return None
        return self.config.pooling or pooling_of(self.config.base, offline=load_settings().offline)

    def _check_labels(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise TrainingError(
                f"A label occurs twice in {self.labels}.", hint="Give each label once."
            )

    def _target(self, example: LabelledText) -> np.ndarray:
        """The id of the label; with several or soft labels one number per label, (labels,)."""
        if example.soft is not None:
            return np.array(example.soft, dtype=np.float32)
        if not self.multi_label and not self._is_soft:
            return np.array(example.labels[0], dtype=np.int64)
        target = np.zeros(len(self.labels), dtype=np.float32)
        target[list(example.labels)] = 1.0
        return target

    def _soft(self, row: DataRow) -> tuple[float, ...] | None:
        value: Any = row.values.get(self.config.soft_column) if self.config.soft_column else None
        if isinstance(value, str) and value:
            value = row.nested(self.config.soft_column)
        if not value:
            return None
        numbers = [v for v in value if isinstance(v, int | float) and 0 <= v <= 1]
        whole = self.multi_label or abs(sum(numbers) - 1) < 1e-3
        if len(numbers) != len(value) or len(numbers) != len(self.labels) or not whole:
            raise DataError(
                f"{row.where}: the column {self.config.soft_column!r} holds {value!r}.",
                hint=f"The column needs {len(self.labels)} probabilities, one for each of "
                f"{', '.join(map(repr, self.labels))}.",
            )
        return tuple(float(v) for v in numbers)


def pair_loss(vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The squared error of the cosines of all pairs of rows, which are to be 1 or 0.

    Pairs with the same label and pairs with different labels have the same total weight. The loss
    of SetFit (Tunstall et al. 2022, arXiv:2209.11055), on all pairs of a batch instead of pairs
    that are drawn.

    Args:
        vectors: Shape (rows, hidden size).
        labels: Ids of the labels, shape (rows,).
    """
    unit = F.normalize(vectors.float(), dim=-1)
    cosines = unit @ unit.T
    same = labels[:, None] == labels[None]
    pairs = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    found = ((1 - cosines).pow(2)[same & pairs], cosines.pow(2)[~same])
    means = [errors.mean() for errors in found if len(errors)]
    return torch.stack(means).mean() if means else cosines.sum() * 0


def _scale(layer: torch.nn.Linear, factor: float) -> None:
    with torch.no_grad():
        layer.weight *= factor
        if layer.bias is not None:
            layer.bias *= factor


def balanced_weights(
    counts: Mapping[int, int], classes: int, rows: int, multi_label: bool
) -> torch.Tensor:
    """Weights that give all classes the same total weight.

    Args:
        counts: Number of rows by class id; a missing id counts as one row.
        classes: Number of classes.
        rows: Number of rows.
        multi_label: Whether to weight the positives of each class against its negatives.

    Returns:
        ``rows / (classes * count)`` for each class, or ``(rows - count) / count`` if multi-label.
    """
    count = torch.tensor([max(counts.get(i, 0), 1) for i in range(classes)], dtype=torch.float32)
    return (rows - count).clamp(min=1.0) / count if multi_label else rows / (classes * count)

"""Training of token classifiers: named entities, parts of speech, or other labels per token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForTokenClassification

from nlplug.data.annotated import LABEL_SET, AnnotatedText, text_of
from nlplug.data.labels import told_few
from nlplug.data.rows import DataRow
from nlplug.data.tags import OUTSIDE, Span, type_of
from nlplug.errors import DataError, TrainingError
from nlplug.families.token_classification.contents import AnnotatedTexts
from nlplug.families.token_classification.tagged_text import trim
from nlplug.families.token_classification.teaching import TaughtText, aligned, teacher_scores
from nlplug.models.resolve import resolve
from nlplug.train.checkpoint import load_base
from nlplug.train.documents import IGNORED
from nlplug.train.recipe import Recipe
from nlplug.train.teacher import check_labels, softened
from nlplug.train.windows import WindowedTexts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.families.token_classification.task import TokenClassificationTask
    from nlplug.train.config import LabelledConfig


_BEGIN, _INSIDE = 0, 1
_PART = 1000


class TokenClassificationRecipe(Recipe):
    """Fine-tunes ``AutoModelForTokenClassification``.

    Rows are tokens with one tag each, or a text with labelled character spans (see
    `nlplug.data.annotated`). The labels are assigned to the model's tokens by character position:
    ``B-`` to the first token of an entity, ``I-`` to all others, including subwords. If the
    tags of the data have no entity scheme (parts of speech), each token keeps its tag.

    Data sets that annotate different types may be mixed. If a row states in ``label_set`` which
    types its source annotates, its unmarked tokens may also be of other types. Their loss is the
    negative logarithm of the summed probability of ``O`` and these types.
    """

    task: TokenClassificationTask
    config: LabelledConfig

    def __init__(self, task: TokenClassificationTask, config: LabelledConfig) -> None:
        super().__init__(task, config)
        self.labels: list[str] = list(config.labels)
        if len(set(self.labels)) != len(self.labels):
            raise TrainingError(
                f"A label occurs twice in {self.labels}.", hint="Give each label once."
            )
        self.contents = AnnotatedTexts(task, config)
        # Sets of labels that a token may have. The target len(labels) + i means the set i.
        self._allowed_sets: list[frozenset[int]] = []

    @property
    def probes(self) -> bool:
        return self.config.probe

    def key(self, row: DataRow) -> str:
        return self.contents.key(row)

    def fit(self, rows: Sequence[DataRow]) -> None:
        self.contents.fit(rows)
        found = {label for row in rows for _, _, label in self.contents.annotated(row).spans}
        if not self.labels:
            names = sorted(found)
            self.labels = names if self.plain else _bio(names)
        if len(self.labels) < 2:
            raise DataError(
                f"The training data has {told_few(sorted(found))}.",
                hint="Training needs at least one entity; check --label-column.",
            )

    def examples(self, rows: Iterable[DataRow]) -> list[AnnotatedText]:
        known = set(self.labels) if self.plain else _types(self.labels)
        found = []
        for row in rows:
            example = self.contents.annotated(row)
            for _, _, label in example.spans:
                if label not in known:
                    shown = ", ".join(map(repr, sorted(known)[:20]))
                    raise DataError(
                        f"{row.where}: unknown label {label!r}.",
                        hint=f"The labels are {shown}; give others by --labels.",
                    )
            found.append(example)
        return found

    def taught(self, examples: Sequence[AnnotatedText], texts: Iterable[DataRow]) -> list[Any]:
        """See `Recipe.taught`: texts with the probabilities of the teacher for its tokens."""
        known = [
            *((example, self.config.teacher_share) for example in examples),
            *((AnnotatedText(text_of(row, self.config.text_column), ()), 1.0) for row in texts),
        ]
        bundle = resolve(self.config.teacher)
        check_labels(self.config.teacher, bundle.labels, self.labels)
        all_texts = [example.text for example, _ in known]
        softened_scores = [
            replace(one, scores=softened(one.scores, self.config.teacher_temperature))
            for one in teacher_scores(self.task, bundle, all_texts, labels=self.labels)
        ]
        return [
            TaughtText(one.text, one.spans, one.label_set, one.words, one.tags, found, share)
            for (one, share), found in zip(known, softened_scores, strict=True)
        ]

    def row(self, example: AnnotatedText) -> dict[str, Any]:
        names = ("start", "end", "label")
        spans = [dict(zip(names, span, strict=True)) for span in example.spans]
        row: dict[str, Any] = {"text": example.text, "spans": spans}
        return row if example.label_set is None else {**row, LABEL_SET: sorted(example.label_set)}

    def model(self) -> PreTrainedModel:
        return load_base(self.config, AutoModelForTokenClassification, labels=self.labels)

    def dataset(
        self, examples: Sequence[AnnotatedText], tokenizer: PreTrainedTokenizerBase
    ) -> WindowedTokens:
        texts = [example.text for example in examples]
        roles = token_roles(texts, [example.spans for example in examples], tokenizer)
        targets = [
            self._targets(example, places) for example, places in zip(examples, roles, strict=True)
        ]
        if self.config.teacher:
            places = token_offsets(texts, tokenizer)
            targets = [
                self._taught_targets(example, hard, offsets)
                for example, hard, offsets in zip(examples, targets, places, strict=True)
            ]
        return WindowedTokens(
            texts, targets, tokenizer, max_length=self.config.max_length, seed=self.config.seed
        )

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        inputs = [{k: v for k, v in item.items() if k != "labels"} for item in features]
        batch: dict[str, torch.Tensor] = dict(
            tokenizer.pad(inputs, padding_side="right", return_tensors="pt")
        )
        size = batch["input_ids"].shape
        first = features[0]["labels"]
        labels = np.stack([unlabelled(size[1], first)] * size[0])
        for row, item in zip(labels, features, strict=True):
            row[: len(item["labels"])] = item["labels"]
        batch["labels"] = torch.from_numpy(labels)
        return batch

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        if labels.ndim == 3:
            return self._taught_loss(outputs["logits"], labels[..., 0].long(), labels[..., 1:])
        counted = labels != IGNORED
        logits = outputs["logits"][counted].float()
        allowed = self._allowed(logits.device)[labels[counted]]
        return marginal_loss(logits, allowed, self.config.label_smoothing)

    def _taught_loss(
        self, logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor
    ) -> torch.Tensor:
        """The mean loss of tokens by label and teacher, weighted as in `_taught_targets`."""
        labelled, taught = hard != IGNORED, soft.sum(-1)
        counted = labelled | (taught > 0)
        logits = logits[counted].float()
        if not len(logits):
            return logits.sum()
        allowed = self._allowed(logits.device)[hard.where(labelled, 0)[counted]]
        known = marginal_losses(logits, allowed, self.config.label_smoothing)
        by_teacher = -(soft[counted] * logits.log_softmax(-1)).sum(-1)
        weight = (1 - taught).where(labelled, 0)[counted]
        return (weight * known + by_teacher).mean()

    @property
    def plain(self) -> bool:
        """Whether the tags label single tokens, such as parts of speech."""
        return self.contents.plain

    def _targets(self, example: AnnotatedText, roles: Sequence[tuple[int, int]]) -> np.ndarray:
        ids = {label: i for i, label in enumerate(self.labels)}
        outside = ids.get(OUTSIDE, IGNORED)
        if example.label_set is not None and not self.plain:
            outside = self._ambiguous_target(example.label_set)
        values = []
        for span, role in roles:
            if span < 0:
                values.append(outside)
                continue
            label = example.spans[span][2]
            # The labels may lack the B- or the I- form of a type, or have no prefixes.
            forms = (f"{'BI'[role]}-{label}", f"{'IB'[role]}-{label}", label)
            values.append(next(ids[form] for form in forms if form in ids))
        return np.array(values, dtype=np.int64)

    def _taught_targets(
        self, example: Any, hard: np.ndarray, offsets: Sequence[tuple[int, int]]
    ) -> np.ndarray:
        """The target of each token, then the probabilities of the teacher times its share."""
        found = np.zeros((len(hard), 1 + len(self.labels)), dtype=np.float32)
        taught: TaughtText = example
        found[:, 0] = IGNORED if taught.share == 1 else hard
        if taught.taught is not None and len(hard):
            starts, ends = trim(taught.text, np.array(offsets).reshape(-1, 2))
            places = [*zip(starts.tolist(), ends.tolist(), strict=True)]
            found[:, 1:] = taught.share * aligned(taught.taught, places, self._inside)
        return found

    @property
    def _inside(self) -> list[int]:
        """For each label the one of a token that continues it."""
        ids = {label: i for i, label in enumerate(self.labels)}
        if self.plain:
            return [*ids.values()]
        return [
            ids.get(f"I-{type_of(label)}", i) if label[:2] == "B-" else i
            for label, i in ids.items()
        ]

    def _ambiguous_target(self, label_set: frozenset[str]) -> int:
        """The target of unmarked tokens if only these types were annotated."""
        allowed = frozenset(
            i
            for i, label in enumerate(self.labels)
            if label == OUTSIDE or type_of(label) not in label_set
        )
        if len(allowed) == 1:
            return next(iter(allowed))
        if allowed not in self._allowed_sets:
            self._allowed_sets.append(allowed)
        return len(self.labels) + self._allowed_sets.index(allowed)

    def _allowed(self, device: torch.device) -> torch.Tensor:
        """Which labels each target allows, shape (targets, labels)."""
        table = torch.eye(
            len(self.labels) + len(self._allowed_sets), len(self.labels), dtype=torch.bool
        )
        for row, ids in enumerate(self._allowed_sets, start=len(self.labels)):
            table[row, list(ids)] = True
        return table.to(device)


def marginal_loss(
    logits: torch.Tensor, allowed: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Mean over tokens of -log of the summed probability of the labels that a token may have.

    With one allowed label per token this is cross entropy.

    Args:
        logits: Shape (tokens, labels).
        allowed: Which labels are right, same shape; at least one per token.
        smoothing: Label smoothing, as in ``torch.nn.functional.cross_entropy``.
    """
    if not len(logits):
        return logits.sum()
    return marginal_losses(logits, allowed, smoothing).mean()


def marginal_losses(
    logits: torch.Tensor, allowed: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """As `marginal_loss`, for each token, shape (tokens,)."""
    scores = logits.log_softmax(-1)
    wanted = scores.masked_fill(~allowed, -torch.inf).logsumexp(-1)
    return -((1 - smoothing) * wanted + smoothing * scores.mean(-1))


def _bio(types: Iterable[str]) -> list[str]:
    return [OUTSIDE, *(f"{role}-{name}" for name in types for role in "BI")]


def _types(labels: Iterable[str]) -> set[str]:
    return {type_of(label) for label in labels} - {""}


class WindowedTokens(WindowedTexts):
    """`WindowedTexts` whose targets are labels of tokens; special tokens have ``IGNORED``."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        begin = self.begin(index)
        item = self.features(index, begin)
        labels = self._targets[index][begin : begin + self._room]
        row = unlabelled(len(item["input_ids"]), labels)
        row[self._frame.before : self._frame.before + len(labels)] = labels
        return {**item, "labels": row}


def unlabelled(tokens: int, like: np.ndarray) -> np.ndarray:
    """Targets of tokens that no loss counts, in the form of other targets.

    Args:
        tokens: Number of tokens.
        like: Shape (tokens,), or (tokens, 1 + labels) with the probabilities of a teacher.
    """
    row = np.zeros((tokens, *like.shape[1:]), dtype=like.dtype)
    row.reshape(tokens, -1)[:, 0] = IGNORED
    return row


def token_offsets(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> Iterator[list[tuple[int, int]]]:
    """The characters of each token of each text, without special tokens."""
    for start in range(0, len(texts), _PART):  # in parts, to bound the memory
        part = list(texts[start : start + _PART])
        yield from tokenizer(
            part, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]


def token_roles(
    texts: Sequence[str], spans: Sequence[Sequence[Span]], tokenizer: PreTrainedTokenizerBase
) -> list[list[tuple[int, int]]]:
    """The span of each token, and whether it is the first token of the span, by character position.

    Returns:
        For each text, for each token (without special tokens): the index of the span or -1, and 0
        for the first token of the span, else 1. A token that overlaps a span is in it.
    """
    offsets = token_offsets(texts, tokenizer)
    return [_roles(*each) for each in zip(texts, spans, offsets, strict=True)]


def _roles(
    text: str, spans: Sequence[Span], places: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at, begun = 0, -1
    for start, end in places:
        while (
            start < end and text[start].isspace()
        ):  # some tokenizers include the space before a word
            start += 1
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        if at == len(spans):
            found.append((-1, _INSIDE))
            continue
        # A token without characters is in a span that surrounds it, but is never its first token.
        inside = spans[at][0] < end if start < end else spans[at][0] < start and begun == at
        if not inside:
            found.append((-1, _INSIDE))
            continue
        found.append((at, _INSIDE if begun == at else _BEGIN))
        begun = at
    return found

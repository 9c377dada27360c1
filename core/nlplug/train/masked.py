"""Training of masked language models, which read texts for other tasks to start from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForMaskedLM

from nlplug.data.rows import DataRow
from nlplug.train.documents import IGNORED, loss_sums, pad, token_loss, token_scores
from nlplug.train.language import LanguageRecipe, text_of
from nlplug.train.masking import MaskedContexts
from nlplug.train.vocabulary import train_masked_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.vocabulary import Kind


class MaskedRecipe(LanguageRecipe):
    """Trains ``AutoModelForMaskedLM`` on texts, packed into contexts of ``max_length`` tokens."""

    metric: ClassVar[str] = "perplexity"
    higher_is_better: ClassVar[bool] = False

    def key(self, row: DataRow) -> str:
        return text_of(row, self.config.text_column)

    def fit(self, rows: Sequence[DataRow]) -> None:
        """Nothing is learnt from the rows but what the weights learn."""

    def examples(self, rows: Iterable[DataRow]) -> list[str]:
        return [self.key(row) for row in rows]

    def row(self, example: str) -> dict[str, Any]:
        return {self.config.text_column: example}

    def train_tokenizer(
        self, examples: Sequence[str], *, kind: Kind | None, size: int
    ) -> PreTrainedTokenizerBase:
        return train_masked_tokenizer(
            examples, kind=kind or "wordpiece", size=size, max_length=self.config.max_length
        )

    def model(self) -> PreTrainedModel:
        return self.load(AutoModelForMaskedLM)

    def dataset(
        self, examples: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, training: bool
    ) -> MaskedContexts:
        seed = self.config.seed if training else None
        return MaskedContexts(examples, tokenizer, length=self.config.max_length, seed=seed)

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        ones = (np.ones_like(item["input_ids"]) for item in features)
        return {
            "input_ids": pad((item["input_ids"] for item in features), tokenizer.pad_token_id),
            "attention_mask": pad(ones, 0),
            "labels": pad((item["labels"] for item in features), IGNORED),
        }

    def loss(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, *, training: bool
    ) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        return token_loss(outputs["logits"], labels, smoothing)

    def evaluated(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        hits = (outputs["logits"].argmax(-1) == labels).sum(-1, keepdim=True)
        return torch.cat((loss_sums(outputs["logits"], labels), hits.float()), dim=-1)

    def score(self, logits: np.ndarray, dataset: Any) -> dict[str, float]:
        """Of the hidden tokens: loss in nats, perplexity, and the share that is found."""
        nats, tokens, hits = logits.astype(np.float64).sum(0).tolist()
        return {**token_scores(nats, tokens), "accuracy": hits / tokens}

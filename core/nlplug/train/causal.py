"""Training of causal language models, on texts or on completions of prompts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from nlplug.data.rows import DataRow
from nlplug.train.documents import (
    Document,
    PackedDocuments,
    SeparateDocuments,
    loss_sums,
    pad,
    token_loss,
    token_scores,
)
from nlplug.train.language import LanguageRecipe, text_of
from nlplug.train.vocabulary import train_tokenizer

if TYPE_CHECKING:
    from torch.utils.data import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.vocabulary import Kind

_PAIR = ("prompt", "completion")
_OTHERWISE = ", or a prompt and a completion"


class CausalRecipe(LanguageRecipe):
    """Trains ``AutoModelForCausalLM``.

    Rows have a text, or ``prompt`` and ``completion``, of which the completion alone is learnt.
    Texts are packed: joined by EOS into contexts of ``max_length`` tokens without padding. A label
    is the token after its input, so nothing is shifted later.
    """

    metric: ClassVar[str] = "bits_per_byte"
    higher_is_better: ClassVar[bool] = False

    def key(self, row: DataRow) -> str:
        document = self._document(row)
        return document.prompt or document.text

    def fit(self, rows: Sequence[DataRow]) -> None:
        """Nothing is learnt from the rows but what the weights learn."""

    def examples(self, rows: Iterable[DataRow]) -> list[Document]:
        return [self._document(row) for row in rows]

    def row(self, example: Document) -> dict[str, Any]:
        if example.prompt:
            return dict(zip(_PAIR, (example.prompt, example.text), strict=True))
        return {self.config.text_column: example.text}

    def train_tokenizer(
        self, examples: Sequence[Document], *, kind: Kind | None, size: int
    ) -> PreTrainedTokenizerBase:
        return train_tokenizer(
            (document.prompt + document.text for document in examples),
            kind=kind or "bpe",
            size=size,
            end="<|endoftext|>",
            max_length=self.config.max_length,
        )

    def model(self) -> PreTrainedModel:
        return self.load(AutoModelForCausalLM)

    def dataset(
        self, examples: Sequence[Document], tokenizer: PreTrainedTokenizerBase, *, training: bool
    ) -> Dataset[Any]:
        length = self.config.max_length
        if training and not any(document.prompt for document in examples):
            texts = [document.text for document in examples]
            return PackedDocuments(texts, tokenizer, length=length, seed=self.config.seed)
        return SeparateDocuments(examples, tokenizer, length=length, training=training)

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        # What is filled up on the right cannot be seen from the left: no mask is needed.
        return {
            "input_ids": pad((item["input_ids"] for item in features), tokenizer.eos_token_id),
            "labels": pad((item["labels"] for item in features), -100),
        }

    def loss(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, *, training: bool
    ) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        return token_loss(outputs["logits"], labels, smoothing)

    def evaluated(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        return loss_sums(outputs["logits"], labels)

    def score(self, logits: np.ndarray, dataset: Any) -> dict[str, float]:
        """Loss in nats and perplexity a token, and bits a byte of UTF-8; ends of texts count."""
        nats, tokens = logits.astype(np.float64).sum(0).tolist()
        return {
            "bits_per_byte": nats / math.log(2) / dataset.bytes,
            **token_scores(nats, tokens),
        }

    def _document(self, row: DataRow) -> Document:
        if all(name in row.values for name in _PAIR):
            prompt, completion = (text_of(row, name, otherwise=_OTHERWISE) for name in _PAIR)
            return Document(prompt=prompt, text=completion)
        return Document(text_of(row, self.config.text_column, otherwise=_OTHERWISE))

"""Training of causal language models, on texts or on completions of prompts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from nlplug.data.readers import DataRow
from nlplug.errors import DataError
from nlplug.train.documents import (
    Document,
    PackedDocuments,
    SeparateDocuments,
    loss_sums,
    pad,
    token_loss,
)
from nlplug.train.dropout import set_dropout
from nlplug.train.language import LanguageRecipe

if TYPE_CHECKING:
    from torch.utils.data import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PAIR = ("prompt", "completion")


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

    def texts(self, examples: Sequence[Document]) -> Iterator[str]:
        for document in examples:
            yield document.prompt + document.text

    def model(self) -> PreTrainedModel:
        config = AutoConfig.from_pretrained(self.config.base)
        if self.config.dropout is not None:
            set_dropout(config, self.config.dropout)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            self.config.base, config=config
        )
        return model

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
            "token_loss": nats / tokens,
            "perplexity": math.exp(min(nats / tokens, 700.0)),
        }

    def _document(self, row: DataRow) -> Document:
        if all(name in row.values for name in _PAIR):
            return Document(prompt=_text(row, "prompt"), text=_text(row, "completion"))
        return Document(_text(row, self.config.text_column))


def _text(row: DataRow, column: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str) or not value.strip():
        state = "is missing" if column not in row.values else f"is {value!r}, not a text"
        raise DataError(
            f"{row.where}: the column {column!r} {state}.",
            hint=f"The row has {', '.join(map(repr, row.values))}; a row has a text, or a prompt "
            "and a completion. Give the column of the text by --text-column.",
        )
    return value

"""Training of sequence-to-sequence models on pairs: translation, summaries, corrections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM

from nlplug._extras import require
from nlplug.data.pairs import Pair, language_token, pairs_of
from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.train.documents import IGNORED, loss_sums, pad, token_loss, token_scores
from nlplug.train.language import LanguageRecipe
from nlplug.train.pairs import TokenizedPairs
from nlplug.train.vocabulary import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.vocabulary import Kind

_GENERATED = 256
"""Rows of the evaluation that are answered in full for chrF and BLEU; the loss sees them all."""


class Seq2SeqRecipe(LanguageRecipe):
    """Trains ``AutoModelForSeq2SeqLM``.

    Rows are ``{"translation": {"en": …, "fr": …}}`` or have the columns ``source`` and ``target``;
    ``config.source`` and ``config.target`` name others. With several targets a source begins with
    the token of the one that is wanted, such as ``>>fr<<``.
    """

    metric: ClassVar[str] = "chrf"

    def __init__(self, task: Task | None, config: TrainConfig) -> None:
        super().__init__(task, config)
        self._languages: list[str] = []
        self._model: Any = None
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def key(self, row: DataRow) -> str:
        # All targets of a source fall on one side: else the held-out ones would be known.
        return self._pairs(row)[0].source

    def fit(self, rows: Sequence[DataRow]) -> None:
        self._languages = sorted({pair.language for row in rows for pair in self._pairs(row)})

    def examples(self, rows: Iterable[DataRow]) -> list[Pair]:
        return [pair for row in rows for pair in self._pairs(row)]

    def row(self, example: Pair) -> dict[str, Any]:
        source = self.config.source or "source"
        return {"translation": {source: example.source, example.language: example.target}}

    def train_tokenizer(
        self, examples: Sequence[Pair], *, kind: Kind | None, size: int
    ) -> PreTrainedTokenizerBase:
        return train_tokenizer(
            (text for pair in examples for text in (pair.source, pair.target)),
            kind=kind or "unigram",
            size=size,
            end="</s>",
            max_length=self.config.max_length,
            closed=True,
            tokens=self.special_tokens(),
        )

    def special_tokens(self) -> list[str]:
        """The tokens of the languages, where a source begins with one."""
        return [language_token(name) for name in self._languages] if self._mark else []

    @property
    def _mark(self) -> bool:
        chosen = self.config.target_token
        return len(self._languages) > 1 if chosen is None else chosen

    def _pairs(self, row: DataRow) -> list[Pair]:
        return pairs_of(row, self.config.source, self.config.target)

    def model(self) -> PreTrainedModel:
        model = self.load(AutoModelForSeq2SeqLM)
        self._model = model
        return model

    def dataset(
        self, examples: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, *, training: bool
    ) -> TokenizedPairs:
        self._tokenizer = tokenizer
        if not examples:
            raise DataError("There is no pair to evaluate on.", hint="Give some by --eval.")
        return TokenizedPairs(
            examples,
            tokenizer,
            length=self.config.max_length,
            mark=self._mark,
            training=training,
        )

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        batch = _sources([item["input_ids"] for item in features], tokenizer)
        batch["labels"] = pad((item["labels"] for item in features), IGNORED)
        batch["decoder_input_ids"] = self._model.prepare_decoder_input_ids_from_labels(
            batch["labels"]
        )
        return batch

    def loss(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, *, training: bool
    ) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        return token_loss(outputs["logits"], labels, smoothing)

    def evaluated(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        return loss_sums(outputs["logits"], labels)

    def score(self, logits: np.ndarray, dataset: Any) -> dict[str, float]:
        """Loss in nats and perplexity a token; chrF and BLEU (0 to 100) of greedy answers to some.

        Those rows are spread evenly over the lengths.
        """
        nats, tokens = logits.astype(np.float64).sum(0).tolist()
        step = max(1, len(dataset) // _GENERATED)
        rows = range(len(dataset))[::step]
        answers = self._answers([dataset[index]["input_ids"] for index in rows])
        right = [dataset.pairs[index].target for index in rows]
        metrics = require("sacrebleu", "train", purpose="Scoring translations")
        chinese = any("\u4e00" <= letter <= "\u9fff" for text in right for letter in text)
        tokenize = "zh" if chinese else "13a"
        return {
            "chrf": float(metrics.corpus_chrf(answers, [right]).score),
            "bleu": float(metrics.corpus_bleu(answers, [right], tokenize=tokenize).score),
            **token_scores(nats, tokens),
        }

    def _answers(self, sources: list[np.ndarray]) -> list[str]:
        """Greedy outputs for tokenized sources, which come in the order of their lengths."""
        tokenizer: Any = self._tokenizer
        found: list[str] = []
        with torch.inference_mode():
            for start in range(0, len(sources), self.config.batch_size):
                part = sources[start : start + self.config.batch_size]
                batch = _sources(part, tokenizer).items()
                ids = self._model.generate(
                    **{name: value.to(self._model.device) for name, value in batch},
                    max_new_tokens=min(self.config.max_length, 2 * len(part[-1]) + 16),
                    max_length=None,
                    num_beams=1,
                    do_sample=False,
                )
                found += tokenizer.batch_decode(ids, skip_special_tokens=True)
        return found


def _sources(
    rows: Sequence[np.ndarray], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    ids = pad(rows, tokenizer.pad_token_id)
    sizes = torch.tensor([len(row) for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < sizes[:, None]).long(),
    }

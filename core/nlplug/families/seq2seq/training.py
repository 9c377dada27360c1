"""Training of sequence-to-sequence models on pairs: translation, summarization, correction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, MarianConfig, MarianMTModel

from nlplug.data.pairs import Pair, language_token, pairs_of
from nlplug.data.rows import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.families.seq2seq.contents import Pairs
from nlplug.families.seq2seq.scoring import corpus_scores
from nlplug.families.seq2seq.settings import Seq2SeqConfig, Seq2SeqPretrainConfig
from nlplug.train.documents import (
    IGNORED,
    loss_sums,
    pad,
    token_ids,
    token_scores,
)
from nlplug.train.language import LossRecipe, special_ids
from nlplug.train.training_set import TrainingSet
from nlplug.train.vocabulary import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind

_GENERATED = 256
"""Evaluation rows for which texts are generated, for chrF and BLEU; the loss uses all rows."""


class Seq2SeqRecipe(LossRecipe):
    """Trains ``AutoModelForSeq2SeqLM``.

    Rows are ``{"translation": {"en": …, "fr": …}}`` or have the columns ``source`` and ``target``;
    ``config.source`` and ``config.target`` select other languages or columns. With several target
    languages, a source begins with the token of its target language, such as ``>>fr<<``.
    """

    metric: ClassVar[str] = "chrf"

    config: Seq2SeqConfig

    def __init__(self, task: Task | None, config: Seq2SeqConfig) -> None:
        super().__init__(task, config)
        self._contents = Pairs(task, config)
        self._languages: list[str] = []
        self._model: Any = None
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def key(self, row: DataRow) -> str:
        return self._contents.key(row)

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
        """The tokens of the target languages, if sources begin with one."""
        return [language_token(name) for name in self._languages] if self._mark else []

    @property
    def _mark(self) -> bool:
        chosen = self.config.target_token
        return len(self._languages) > 1 if chosen is None else chosen

    def _pairs(self, row: DataRow) -> list[Pair]:
        return pairs_of(row, self.config.source, self.config.target)

    def model(self) -> PreTrainedModel:
        self._model = self.load(AutoModelForSeq2SeqLM)
        return self._model

    def dataset(
        self, examples: Sequence[Pair], tokenizer: PreTrainedTokenizerBase
    ) -> TokenizedPairs:
        return TokenizedPairs(examples, tokenizer, length=self.config.max_length, mark=self._mark)

    def held_out(
        self, examples: Sequence[Pair], tokenizer: PreTrainedTokenizerBase
    ) -> TokenizedPairs:
        if not examples:
            raise DataError(
                "There is no pair to evaluate on.", hint="Give evaluation data with --eval."
            )
        self._tokenizer = tokenizer
        found = self.dataset(examples, tokenizer)
        found.sort()  # batches follow this order; similar lengths need less padding
        return found

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        batch = _sources([item["input_ids"] for item in features], tokenizer)
        batch["labels"] = pad((item["labels"] for item in features), IGNORED)
        batch["decoder_input_ids"] = self._model.prepare_decoder_input_ids_from_labels(
            batch["labels"]
        )
        return batch

    def sums(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        return loss_sums(outputs["logits"], labels)

    def scores(self, sums: Sequence[float], dataset: Any, model: Any) -> dict[str, float]:
        """Loss in nats and perplexity per token; chrF and BLEU (0 to 100) of some greedy answers.

        The rows with generated answers are spread evenly over the lengths.
        """
        step = max(1, len(dataset) // _GENERATED)
        rows = range(len(dataset))[::step]
        answers = self._answers([dataset[index]["input_ids"] for index in rows], model)
        chrf, bleu = corpus_scores(answers, [dataset.pairs[index].target for index in rows])
        return {"chrf": chrf.score, "bleu": bleu.score, **token_scores(*sums)}

    def _answers(self, sources: list[np.ndarray], model: Any) -> list[str]:
        """Greedy outputs for tokenized sources, which are sorted by length."""
        tokenizer: Any = self._tokenizer
        found: list[str] = []
        for start in range(0, len(sources), self.config.batch_size):
            part = sources[start : start + self.config.batch_size]
            batch = _sources(part, tokenizer).items()
            ids = model.generate(
                **{name: value.to(model.device) for name, value in batch},
                max_new_tokens=min(self.config.max_length, 2 * len(part[-1]) + 16),
                max_length=None,
                num_beams=1,
                do_sample=False,
            )
            found += tokenizer.batch_decode(ids, skip_special_tokens=True)
        return found

    @classmethod
    def new_model(
        cls, config: PretrainConfig, size: int, tokenizer: PreTrainedTokenizerBase
    ) -> PreTrainedModel:
        settings = Seq2SeqPretrainConfig.model_validate(config)
        width = config.intermediate or 4 * config.hidden
        model: PreTrainedModel = MarianMTModel(
            MarianConfig(
                vocab_size=size,
                d_model=config.hidden,
                encoder_layers=config.layers,
                decoder_layers=settings.decoder_layers or config.layers,
                encoder_attention_heads=config.heads,
                decoder_attention_heads=config.heads,
                encoder_ffn_dim=width,
                decoder_ffn_dim=width,
                max_position_embeddings=config.max_length,
                activation_function="swish",
                scale_embedding=True,
                dropout=0.1 if config.dropout is None else config.dropout,
                tie_word_embeddings=config.tied,
                decoder_start_token_id=tokenizer.pad_token_id,
                forced_eos_token_id=None,
                **special_ids(tokenizer),
            )
        )
        model.generation_config.bad_words_ids = [[tokenizer.pad_token_id]]
        model.generation_config.max_length = config.max_length
        return model


def _sources(
    rows: Sequence[np.ndarray], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    ids = pad(rows, tokenizer.pad_token_id)
    sizes = torch.tensor([len(row) for row in rows])
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < sizes[:, None]).long(),
    }


class TokenizedPairs(TrainingSet):
    """Pairs as tokens; texts longer than ``length`` are cut before their end token.

    Attributes:
        pairs: The pairs in the order of the items.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        tokenizer: PreTrainedTokenizerBase,
        *,
        length: int,
        mark: bool,
    ) -> None:
        end = tokenizer.eos_token_id
        if end is None:
            raise TrainingError(
                "The tokenizer of the base has no end-of-text token.",
                hint="Set eos_token in its tokenizer_config.json.",
            )
        sources = token_ids([pair.source for pair in pairs], tokenizer)
        targets = token_ids([pair.target for pair in pairs], tokenizer)
        marks = _marks({pair.language for pair in pairs}, tokenizer) if mark else {}
        self.pairs = list(pairs)
        self._ids: list[tuple[np.ndarray, np.ndarray]] = []
        for pair, source, target in zip(pairs, sources, targets, strict=True):
            begun = [*marks.get(pair.language, []), *source]
            framed = [*begun[: length - 1], end], [*target[: length - 1], end]
            self._ids.append((np.array(framed[0], np.int32), np.array(framed[1], np.int32)))

    def sort(self) -> None:
        """Sort the pairs by length."""
        order = sorted(range(len(self)), key=self.lengths().__getitem__)
        self.pairs = [self.pairs[index] for index in order]
        self._ids = [self._ids[index] for index in order]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        source, target = self._ids[index]
        return {"input_ids": source, "labels": target}

    def lengths(self) -> list[int]:
        """Number of tokens of each item, source and target together."""
        return [len(source) + len(target) for source, target in self._ids]


def _marks(languages: set[str], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Token ids of the target language tokens; several ids if the tokenizer splits one."""
    return {
        language: list(tokenizer(language_token(language), add_special_tokens=False)["input_ids"])
        for language in sorted(languages)
    }

"""Training of masked language models, which are bases for fine-tuning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from nlplug.data.rows import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.train.documents import (
    IGNORED,
    loss_sums,
    pad,
    token_ids,
    token_scores,
)
from nlplug.train.language import LossRecipe
from nlplug.train.packing import PackedTokens
from nlplug.train.probe import output_layer
from nlplug.train.vocabulary import train_masked_tokenizer
from nlplug.train.windows import TextFrame

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind


MASKED_SHARE = 0.15
"""Share of the tokens that are predicted."""

_MASKED, _SWAPPED = 0.8, 0.1
_NEEDED = ("mask_token", "sep_token", "pad_token")


class MaskedRecipe(LossRecipe):
    """Trains ``AutoModelForMaskedLM`` on texts, packed into contexts of ``max_length`` tokens."""

    metric: ClassVar[str] = "perplexity"
    higher_is_better: ClassVar[bool] = False

    def key(self, row: DataRow) -> str:
        return row.text(self.config.text_column)

    def fit(self, rows: Sequence[DataRow]) -> None:
        """Nothing to do: the shape of the model does not depend on the rows."""

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
        self, examples: Sequence[str], tokenizer: PreTrainedTokenizerBase
    ) -> MaskedContexts:
        length, seed = self.config.max_length, self.config.seed
        return MaskedContexts(examples, tokenizer, length=length, seed=seed)

    def held_out(
        self, examples: Sequence[str], tokenizer: PreTrainedTokenizerBase
    ) -> MaskedContexts:
        return MaskedContexts(examples, tokenizer, length=self.config.max_length, seed=None)

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        ones = (np.ones_like(item["input_ids"]) for item in features)
        return {
            "input_ids": pad((item["input_ids"] for item in features), tokenizer.pad_token_id),
            "attention_mask": pad(ones, 0),
            "labels": pad((item["labels"] for item in features), IGNORED),
        }

    @contextmanager
    def narrowed(self, model: torch.nn.Module, labels: torch.Tensor) -> Iterator[None]:
        """See `Recipe.narrowed`: logits of the masked tokens only, a quarter less work.

        They are float (1, masked tokens, vocabulary).
        """
        masked = labels != IGNORED
        handle = output_layer(model).register_forward_pre_hook(
            lambda layer, inputs: inputs[0][masked][None]
        )
        try:
            yield
        finally:
            handle.remove()

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        """See `LanguageRecipe.loss`; the logits may be those of the masked tokens only."""
        if outputs["logits"].shape[:2] != labels.shape:
            labels = labels[labels != IGNORED][None]
        return super().loss(outputs, labels)

    def sums(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        hits = (outputs["logits"].argmax(-1) == labels).sum(-1, keepdim=True)
        return torch.cat((loss_sums(outputs["logits"], labels), hits.float()), dim=-1)

    def scores(self, sums: Sequence[float], dataset: Any, model: Any) -> dict[str, float]:
        """For the masked tokens: loss in nats, perplexity and accuracy."""
        nats, tokens, hits = sums
        return {**token_scores(nats, tokens), "accuracy": hits / tokens}

    @classmethod
    def new_model(
        cls, config: PretrainConfig, size: int, tokenizer: PreTrainedTokenizerBase
    ) -> PreTrainedModel:
        model: PreTrainedModel = BertForMaskedLM(
            BertConfig(
                vocab_size=size,
                hidden_size=config.hidden,
                intermediate_size=config.intermediate or 4 * config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                max_position_embeddings=config.max_length,
                hidden_dropout_prob=0.1 if config.dropout is None else config.dropout,
                attention_probs_dropout_prob=0.0,
                tie_word_embeddings=config.tied,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        return model


class Masking:
    """Masks tokens as in BERT (Devlin et al. 2019, appendix A.1).

    15 % of the tokens of a context are predicted, at least one. Of these, 80 % become the mask
    token, 10 % a random token, and 10 % are unchanged. Special tokens are neither predicted nor
    inserted.

    Raises:
        TrainingError: The tokenizer has no mask, separator or padding token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        for name in _NEEDED:
            if getattr(tokenizer, name) is None:
                raise TrainingError(
                    f"The tokenizer has no {name}, which a masked language model needs.",
                    hint=f"Set {name} in its tokenizer_config.json, or train a new tokenizer.",
                )
        self._mask: int = tokenizer.mask_token_id
        self._plain = np.ones(len(tokenizer), dtype=bool)
        self._plain[tokenizer.all_special_ids] = False
        self._words = np.flatnonzero(self._plain)

    def maskable(self, ids: np.ndarray) -> np.ndarray:
        """Positions of the tokens that may be predicted."""
        return np.flatnonzero(self._plain[ids])

    def __call__(self, ids: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The masked context, and its labels: the original tokens, else ``IGNORED``."""
        places = self.maskable(ids)
        count = min(len(places), max(1, round(MASKED_SHARE * len(places))))
        chosen = rng.choice(places, size=count, replace=False)
        labels = np.full_like(ids, IGNORED)
        labels[chosen] = ids[chosen]
        seen = ids.copy()
        draw = rng.random(count)
        seen[chosen[draw < _MASKED]] = self._mask
        swapped = chosen[draw >= 1 - _SWAPPED]
        seen[swapped] = rng.choice(self._words, size=len(swapped))
        return seen, labels


class MaskedContexts(PackedTokens):
    """Texts joined by the separator, as contexts of ``length`` tokens, some of them masked.

    Each epoch masks other tokens, depending only on the seed. Evaluation always masks the same
    tokens, so that runs can be compared.

    Args:
        texts: The texts.
        tokenizer: A fast tokenizer.
        length: Number of tokens of a context, special tokens included.
        seed: Random seed of contexts and masks; None: evaluation.

    Raises:
        DataError: The texts have no token that can be masked.
        TrainingError: The tokenizer has no mask, separator or padding token.
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        *,
        length: int,
        seed: int | None,
    ) -> None:
        self._masking = Masking(tokenizer)
        self._frame = TextFrame(tokenizer)
        end = np.array([tokenizer.sep_token_id], dtype=np.int32)
        parts = (part for ids in token_ids(texts, tokenizer) for part in (ids, end))
        super().__init__(parts, length=length - self._frame.size, seed=seed)
        if not len(self._masking.maskable(self.tokens)):
            raise DataError(
                "The texts have no token that can be masked: all their tokens are unknown.",
                hint="Use other texts, or a tokenizer for their script.",
            )

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = np.array(self._frame.ids(self.context(index).tolist()), dtype=np.int64)
        rng = np.random.default_rng([self._seed or 0, self.epoch, index])
        seen, labels = self._masking(ids, rng)
        return {"input_ids": seen, "labels": labels}

    def lengths(self) -> list[int]:
        """Number of tokens of each item, special tokens included."""
        return [length + self._frame.size for length in super().lengths()]

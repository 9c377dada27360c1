"""Training of masked language models, which read texts for other tasks to start from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from nlplug.data.readers import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.train.checkpoint import load_base
from nlplug.train.documents import (
    IGNORED,
    loss_sums,
    pad,
    token_ids,
    token_loss,
    token_scores,
)
from nlplug.train.language import LossRecipe
from nlplug.train.packing import PackedTokens
from nlplug.train.vocabulary import train_masked_tokenizer
from nlplug.train.windows import TextFrame

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind


HIDDEN = 0.15
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
        return load_base(self.config, AutoModelForMaskedLM)

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

    def loss(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        return token_loss(outputs["logits"], labels, self.config.label_smoothing)

    def sums(self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        hits = (outputs["logits"].argmax(-1) == labels).sum(-1, keepdim=True)
        return torch.cat((loss_sums(outputs["logits"], labels), hits.float()), dim=-1)

    def scores(self, sums: Sequence[float], dataset: Any, model: Any) -> dict[str, float]:
        """Of the hidden tokens: loss in nats, perplexity, and the share that is found."""
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
    """Hides tokens as BERT was trained (Devlin et al. 2019, appendix A.1).

    15 % of a context are predicted, at least one token: of these 80 % become the mask token, 10 %
    any token, and 10 % stay. Special tokens are neither predicted nor put in.

    Raises:
        TrainingError: The tokenizer has no token for it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        for name in _NEEDED:
            if getattr(tokenizer, name) is None:
                raise TrainingError(
                    f"The tokenizer has no {name}, which a masked language model needs.",
                    hint=f"Set {name} in its tokenizer_config.json, or have one trained.",
                )
        self._mask: int = tokenizer.mask_token_id
        self._plain = np.ones(len(tokenizer), dtype=bool)
        self._plain[tokenizer.all_special_ids] = False
        self._words = np.flatnonzero(self._plain)

    def maskable(self, ids: np.ndarray) -> np.ndarray:
        """Positions of the tokens that may be predicted."""
        return np.flatnonzero(self._plain[ids])

    def __call__(
        self, ids: np.ndarray, chance: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the model sees of a context, and its labels: the hidden tokens, else ``IGNORED``."""
        places = self.maskable(ids)
        count = min(len(places), max(1, round(HIDDEN * len(places))))
        chosen = chance.choice(places, size=count, replace=False)
        labels = np.full_like(ids, IGNORED)
        labels[chosen] = ids[chosen]
        seen = ids.copy()
        fate = chance.random(count)
        seen[chosen[fate < _MASKED]] = self._mask
        swapped = chosen[fate >= 1 - _SWAPPED]
        seen[swapped] = chance.choice(self._words, size=len(swapped))
        return seen, labels


class MaskedContexts(PackedTokens):
    """Texts, each ended by the separator, as contexts of ``length`` tokens with some hidden.

    Each epoch hides others (the same for the same seed). What is hidden in evaluation is always
    the same, so that runs compare.

    Args:
        texts: The texts.
        tokenizer: A fast tokenizer.
        length: Tokens of a context, with the special ones around it.
        seed: Seed of cuts and masks; None for evaluation.

    Raises:
        DataError: The texts have no token that can be hidden.
        TrainingError: The tokenizer lacks a token.
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
                "The texts have no token that can be hidden: the tokenizer knows none of them.",
                hint="Give other texts, or a tokenizer that knows their letters.",
            )

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = np.array(self._frame.ids(self.context(index).tolist()), dtype=np.int64)
        chance = np.random.default_rng([self._seed or 0, self.epoch, index])
        seen, labels = self._masking(ids, chance)
        return {"input_ids": seen, "labels": labels}

    def lengths(self) -> list[int]:
        """Tokens of each item, with the special ones around it."""
        return [length + self._frame.size for length in super().lengths()]

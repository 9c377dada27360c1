"""Training of causal language models, on texts or on completions of prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from nlplug.data.rows import DataRow
from nlplug.errors import TrainingError
from nlplug.evaluation.base import flat_metrics
from nlplug.export.torch_decoder import TorchDecoder
from nlplug.families.causal_lm.contents import PAIR, Documents
from nlplug.families.causal_lm.scoring import TextGenerationEvaluation, likelihood_scorer
from nlplug.families.causal_lm.settings import CausalPretrainConfig
from nlplug.train.documents import IGNORED, pad, token_ids
from nlplug.train.language import LanguageRecipe, special_ids
from nlplug.train.packing import PackedTokens
from nlplug.train.recipe import Evaluator
from nlplug.train.served import draft_of, in_evaluation
from nlplug.train.training_set import TrainingSet
from nlplug.train.vocabulary import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.pretrain_config import PretrainConfig
    from nlplug.train.vocabulary import Kind


@dataclass(frozen=True)
class PromptedText:
    """A text to predict, and a prompt before it that is not predicted."""

    text: str
    prompt: str = ""


class CausalRecipe(LanguageRecipe):
    """Trains ``AutoModelForCausalLM``.

    Rows have a text, or ``prompt`` and ``completion``; only the completion is learned. Texts are
    packed: joined by EOS into contexts of ``max_length`` tokens without padding. Labels are already
    shifted: the label of a token is the next token.
    """

    metric: ClassVar[str] = "bits_per_byte"
    higher_is_better: ClassVar[bool] = False

    def __init__(self, task: Task | None, config: TrainConfig) -> None:
        super().__init__(task, config)
        self._contents = Documents(task, config)

    def key(self, row: DataRow) -> str:
        return self._contents.key(row)

    def fit(self, rows: Sequence[DataRow]) -> None:
        """Nothing to do: the shape of the model does not depend on the rows."""

    def examples(self, rows: Iterable[DataRow]) -> list[PromptedText]:
        return [self._document(row) for row in rows]

    def row(self, example: PromptedText) -> dict[str, Any]:
        if example.prompt:
            return dict(zip(PAIR, (example.prompt, example.text), strict=True))
        return {self.config.text_column: example.text}

    def train_tokenizer(
        self, examples: Sequence[PromptedText], *, kind: Kind | None, size: int
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
        self, examples: Sequence[PromptedText], tokenizer: PreTrainedTokenizerBase
    ) -> TrainingSet:
        length = self.config.max_length
        if not any(document.prompt for document in examples):
            texts = [document.text for document in examples]
            return PackedDocuments(texts, tokenizer, length=length, seed=self.config.seed)
        return SeparateDocuments(examples, tokenizer, length=length)

    def collate(
        self, features: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, torch.Tensor]:
        # A causal model does not see padding on the right, so no mask is needed.
        return {
            "input_ids": pad((item["input_ids"] for item in features), tokenizer.eos_token_id),
            "labels": pad((item["labels"] for item in features), IGNORED),
        }

    def evaluator(
        self, file: Path, examples: Sequence[PromptedText], tokenizer: PreTrainedTokenizerBase
    ) -> Evaluator:
        """See `Recipe.evaluator`: bits per byte, as in the scoring of the bundle."""
        scoring = TextGenerationEvaluation([])

        def evaluate(model: Any) -> dict[str, float]:
            with (
                in_evaluation(model),
                draft_of(model, tokenizer, self.config.window) as bundle,
            ):
                scorer = likelihood_scorer(bundle, TorchDecoder(model).logits)
                found = [scorer.likelihood(one.text, one.prompt) for one in examples]
            return flat_metrics(scoring.report(found, [None] * len(found)))

        return evaluate

    @classmethod
    def new_model(
        cls, config: PretrainConfig, size: int, tokenizer: PreTrainedTokenizerBase
    ) -> PreTrainedModel:
        make = {"llama": _llama, "gpt2": _gpt2}[config.architecture]
        return make(CausalPretrainConfig.model_validate(config), size, tokenizer)

    def _document(self, row: DataRow) -> PromptedText:
        prompt, text = self._contents.parts(row)
        return PromptedText(text, prompt)


def _llama(config: CausalPretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    third = -(-config.hidden * 8 // 3 // 32) * 32
    model: PreTrainedModel = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=config.hidden,
            intermediate_size=config.intermediate or third,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads or config.heads,
            max_position_embeddings=config.max_length,
            tie_word_embeddings=config.tied,
            **special_ids(tokenizer),
        )
    )
    return model


def _gpt2(config: CausalPretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    dropout = config.dropout or 0.0
    model: PreTrainedModel = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size,
            n_embd=config.hidden,
            n_inner=config.intermediate,
            n_layer=config.layers,
            n_head=config.heads,
            n_positions=config.max_length,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=0.0,
            tie_word_embeddings=config.tied,
            **special_ids(tokenizer),
        )
    )
    return model


class _Frame:
    """The tokens around a document: the tokenizer's first token if it has one, and the end."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.eos_token_id is None:
            raise TrainingError(
                "The tokenizer of the base has no end-of-text token.",
                hint="Set eos_token in its tokenizer_config.json.",
            )
        self.end = np.array([tokenizer.eos_token_id], dtype=np.int32)
        own = tokenizer("")["input_ids"][:1]
        begins = own == [tokenizer.bos_token_id] and own != [tokenizer.eos_token_id]
        self.lead = np.array(own if begins else [], dtype=np.int32)
        # The first token of a text is predicted too: from the end token of the text before it.
        self.before = self.lead if begins else self.end


class PackedDocuments(PackedTokens):
    """Texts joined by EOS, as full contexts; the label of a token is the next token."""

    def __init__(
        self, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, length: int, seed: int
    ) -> None:
        frame = _Frame(tokenizer)
        parts = (
            part for ids in token_ids(texts, tokenizer) for part in (frame.lead, ids, frame.end)
        )
        super().__init__(parts, length=length, seed=seed)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self.context(index, ahead=1)
        return {"input_ids": ids[:-1], "labels": ids[1:]}


class SeparateDocuments(TrainingSet):
    """Separate documents.

    An item is a document. If it is too long, first the beginning of its prompt is cut, then the end
    of its text.
    """

    def __init__(
        self,
        documents: Sequence[PromptedText],
        tokenizer: PreTrainedTokenizerBase,
        *,
        length: int,
    ) -> None:
        frame = _Frame(tokenizer)
        prompts = token_ids([document.prompt for document in documents], tokenizer)
        texts = token_ids([document.text for document in documents], tokenizer)
        self._ids: list[np.ndarray] = []
        self._items: list[tuple[int, int, int, int]] = []
        for owner, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            ids = np.concatenate([frame.before, prompt, text, frame.end])
            self._ids.append(ids)
            first = len(frame.before) + len(prompt)
            begin = max(0, min(first - 1, len(ids) - 1 - length))
            self._items.append((owner, begin, first, min(begin + length, len(ids) - 1)))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        owner, begin, first, end = self._items[index]
        ids = self._ids[owner].astype(np.int64)
        labels = ids[begin + 1 : end + 1].copy()
        labels[: first - begin - 1] = IGNORED
        return {"input_ids": ids[begin:end], "labels": labels}

    def lengths(self) -> list[int]:
        """Number of tokens of each item."""
        return [end - begin for _, begin, _, end in self._items]

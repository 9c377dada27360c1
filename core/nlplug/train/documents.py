"""Tokenization of texts, and token losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of tokens that are not predicted."""


def token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[np.ndarray]:
    """The token ids of each text without special tokens, int32."""
    for start in range(0, len(texts), 1000):  # in parts, to bound the memory
        part = list(texts[start : start + 1000])
        encoded = tokenizer(
            part, add_special_tokens=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        yield from (np.array(ids, dtype=np.int32) for ids in encoded)


def pad(rows: Iterable[np.ndarray], value: int) -> torch.Tensor:
    """Rows of different lengths as one tensor, int64 (rows, longest), padded on the right."""
    tensors = [torch.as_tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def token_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross entropy of the labels (rows, tokens) that are not ignored, in nats; else 0."""
    total = F.cross_entropy(
        logits.flatten(0, 1).float(),
        labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def loss_sums(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum of the cross entropy in nats, and number of labels, of each row: float32 (rows, 2)."""
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    counts = (labels != IGNORED).sum(-1)
    return torch.stack((losses.view_as(labels).sum(-1), counts.float()), dim=-1)


def token_scores(nats: float, tokens: float) -> dict[str, float]:
    """Loss in nats and perplexity per token, from the sums over all tokens."""
    return {"token_loss": nats / tokens, "perplexity": math.exp(min(nats / tokens, 700.0))}

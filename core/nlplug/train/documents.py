"""Tokenization of texts, and token losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
    flat, wanted = logits.flatten(0, 1), labels.flatten()
    count = (wanted != IGNORED).sum().clamp(min=1)
    if flat.requires_grad and flat.device.type == "cpu":
        mean: torch.Tensor = _LossInParts.apply(flat, wanted, smoothing, int(count))
        return mean
    total = F.cross_entropy(
        flat.float(), wanted, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum"
    )
    return total / count


_PART = 64
"""Rows of logits that are processed together, so that they stay in the processor's cache."""


class _LossInParts(torch.autograd.Function):
    """``F.cross_entropy`` divided by a count; computes the gradient in the forward pass, in parts.

    On a CPU this takes a third of the time, because whole logits are not moved through memory.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, labels: torch.Tensor, smoothing: float, count: int
    ) -> torch.Tensor:
        gradient = torch.empty_like(logits)
        share = smoothing / logits.shape[1]
        total = logits.new_zeros((), dtype=torch.float32)
        for start in range(0, len(logits), _PART):
            rows = slice(start, start + _PART)
            known = (labels[rows] != IGNORED)[:, None] / count
            index = labels[rows].clamp(min=0)[:, None]
            scores = F.log_softmax(logits[rows], -1, dtype=torch.float32)
            loss = (1 - smoothing) * scores.gather(1, index) + share * scores.sum(-1, keepdim=True)
            total -= (loss * known).sum()
            slope = scores.exp_().sub_(share)
            slope.scatter_add_(1, index, slope.new_full(index.shape, smoothing - 1))
            gradient[rows] = slope.mul_(known)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        scale = outputs[0]
        return gradient if scale == 1 else gradient * scale, None, None, None


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

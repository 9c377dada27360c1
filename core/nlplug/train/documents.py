"""Texts as inputs and next tokens: packed into full contexts, or row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from nlplug.errors import TrainingError
from nlplug.runtime.decoding.scoring import windows
from nlplug.train.packing import PackedTokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token that is not predicted."""


@dataclass(frozen=True)
class Document:
    """A text to predict, after a prompt that is given."""

    text: str
    prompt: str = ""


def token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[np.ndarray]:
    """Each text's tokens without special ones, int32."""
    for start in range(0, len(texts), 1000):  # in parts, so that memory stays flat
        part = list(texts[start : start + 1000])
        encoded = tokenizer(
            part, add_special_tokens=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        yield from (np.array(ids, dtype=np.int32) for ids in encoded)


class _Frame:
    """What stands around a document: the tokenizer's own first token if it has one, and the end."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.eos_token_id is None:
            raise TrainingError(
                "The tokenizer of the base has no token that ends a text.",
                hint="Set eos_token in its tokenizer_config.json.",
            )
        self.end = np.array([tokenizer.eos_token_id], dtype=np.int32)
        own = tokenizer("")["input_ids"][:1]
        begins = own == [tokenizer.bos_token_id] and own != [tokenizer.eos_token_id]
        self.lead = np.array(own if begins else [], dtype=np.int32)
        # The first token of a text is predicted too, from the end of whatever was before it.
        self.before = self.lead if begins else self.end


class PackedDocuments(PackedTokens):
    """Texts, each ended by EOS, as full contexts; a label is the token after its input."""

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


class SeparateDocuments(Dataset[dict[str, Any]]):
    """Documents by themselves.

    In training an item is a document, of which what does not fit is cut: first the beginning of
    its prompt, then the end of its text. In evaluation an item is a window; windows overlap by
    half, and each token of the text, and its end, is predicted in one of them alone.

    Attributes:
        bytes: Size of the texts in UTF-8, prompts left out.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        tokenizer: PreTrainedTokenizerBase,
        *,
        length: int,
        training: bool,
    ) -> None:
        frame = _Frame(tokenizer)
        self.bytes = sum(len(document.text.encode()) for document in documents)
        prompts = token_ids([document.prompt for document in documents], tokenizer)
        texts = token_ids([document.text for document in documents], tokenizer)
        self._ids: list[np.ndarray] = []
        self._items: list[tuple[int, int, int, int]] = []
        for owner, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            ids = np.concatenate([frame.before, prompt, text, frame.end])
            self._ids.append(ids)
            first = len(frame.before) + len(prompt)
            cut = _training_cut if training else windows
            self._items += [(owner, *window) for window in cut(first, len(ids), length)]
        if not training:
            # Batches follow this order: like lengths together, as padding costs time.
            self._items.sort(key=lambda item: item[3] - item[1])

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        owner, begin, first, end = self._items[index]
        ids = self._ids[owner].astype(np.int64)
        labels = ids[begin + 1 : end + 1].copy()
        labels[: first - begin - 1] = IGNORED
        return {"input_ids": ids[begin:end], "labels": labels}

    def lengths(self) -> list[int]:
        """Tokens of each item."""
        return [end - begin for _, begin, _, end in self._items]


def _training_cut(first: int, total: int, length: int) -> Iterator[tuple[int, int, int]]:
    """The one item of a document: first input, first and last token that is predicted."""
    begin = max(0, min(first - 1, total - 1 - length))
    yield begin, first, min(begin + length, total - 1)


def pad(rows: Iterable[np.ndarray], value: int) -> torch.Tensor:
    """Rows of unlike lengths as one tensor, int64 (rows, longest), filled up on the right."""
    tensors = [torch.as_tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def token_loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean cross entropy of the labels (rows, tokens) that are not ignored, in nats; 0 of none."""
    flat, wanted = logits.flatten(0, 1), labels.flatten()
    count = (wanted != IGNORED).sum().clamp(min=1)
    if flat.requires_grad and flat.device.type == "cpu":
        mean: torch.Tensor = _InParts.apply(flat, wanted, smoothing, int(count))
        return mean
    total = F.cross_entropy(
        flat.float(), wanted, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum"
    )
    return total / count


_PART = 64
"""Rows of logits that are looked at together, so that they stay in the processor's cache."""


class _InParts(torch.autograd.Function):
    """``F.cross_entropy`` divided by a count, which makes the gradient on the way, part by part.

    On a CPU it takes a third of the time, which else goes into moving whole logits through memory.
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
    """Loss in nats and perplexity a token, from the sums over all of them."""
    return {"token_loss": nats / tokens, "perplexity": math.exp(min(nats / tokens, 700.0))}

"""The quality gate of models that write texts: is it the same text, and is it as good?

Two things are measured, against PyTorch on the same prompts:

Parity: the share of greedy texts that are token for token those of ``generate`` (``identical``),
and, along PyTorch's own texts, how far the logits of each token are apart and how often the
likeliest one is the same (``agreement``). In float32 every text has to be identical, but for those
that part where PyTorch holds two tokens for equally likely: these are counted as ``ties``.

Loss: how much of the task's own metric is lost, row by row: bits a byte of texts that are read, or
chrF of texts that are written. Without labels it is what PyTorch itself would expect to lose: the
probability that it gives its own next token less the one it gives to the other's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.evaluation.base import flat_metrics
from nlplug.export.gate import Verdict, doubt, refusal
from nlplug.export.paired import PairedLoss, paired_loss
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.scoring import token_logits

if TYPE_CHECKING:
    from nlplug.evaluation.base import Evaluation
    from nlplug.export.torch_decoder import TorchDecoder
    from nlplug.runtime.decoding.decoder import Decoder
    from nlplug.runtime.decoding.options import DecodingOptions

TIE = 1e-4
"""Two logits this near, by the largest one, are equally likely up to rounding."""

_ROWS = 16
_FORCED = 128
"""Texts along which logits are compared."""

Logits = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], Iterable[np.ndarray]]
Answers = Callable[[Logits, Sequence[Sequence[int]]], list[Any]]
"""What the evaluation scores, from the logits of given texts and the greedy texts."""


@dataclass(frozen=True)
class DecodingRows:
    """What the gate runs.

    Attributes:
        prompts: As tokens, a hundred or more.
        options: Greedy decoding.
        origin: Where they come from, for report and manifest.
        evaluation: Scores answers; None without labels.
        answers: Makes the answers that are scored.
        targets: The right ones.
    """

    prompts: Sequence[Sequence[int]]
    options: DecodingOptions
    origin: str
    evaluation: Evaluation | None = None
    answers: Answers | None = None
    targets: Sequence[Any] = ()


@dataclass
class _Distance:
    """How far two models are apart along the same texts."""

    largest: float = 0.0
    worst: float = 0.0
    total: float = 0.0
    numbers: int = 0
    dots: np.ndarray = field(default_factory=lambda: np.zeros(3))
    same: int = 0
    tokens: int = 0
    regrets: list[float] = field(default_factory=list)

    def add(self, expected: np.ndarray, given: np.ndarray) -> None:
        """One text: logits of shape (tokens, vocabulary)."""
        one, two = expected.astype(np.float64), given.astype(np.float64)
        difference = np.abs(one - two)
        self.largest = max(self.largest, float(np.abs(one).max()))
        self.worst = float(np.maximum(self.worst, difference.max()))
        self.total += float(difference.sum())
        self.numbers += difference.size
        self.dots += [float((one * two).sum()), float((one**2).sum()), float((two**2).sum())]
        chosen = two.argmax(-1)
        self.same += int((one.argmax(-1) == chosen).sum())
        self.tokens += len(one)
        shares = np.exp(one - one.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        lost = shares.max(-1) - np.take_along_axis(shares, chosen[:, None], -1)[:, 0]
        self.regrets.append(float(lost.mean()) if np.isfinite(two).all() else 1.0)

    def parity(self) -> dict[str, float]:
        norm = float(np.sqrt(self.dots[1] * self.dots[2]))
        return {
            "max_abs_diff": self.worst,
            "mean_abs_diff": self.total / max(1, self.numbers),
            "largest": self.largest,
            "cosine": float(self.dots[0]) / norm if norm else 1.0,
            "agreement": self.same / max(1, self.tokens),
        }


class DecodingGate:
    """Compares decoders with PyTorch on the same rows.

    Args:
        rows: What to compare on.
        reference: The PyTorch model.
        budget: Largest mean loss of the metric that is accepted.
    """

    def __init__(self, rows: DecodingRows, reference: TorchDecoder, *, budget: float) -> None:
        self._rows = rows
        self._reference = reference
        self._budget = budget
        self._texts = reference.greedy(rows.prompts, rows.options)
        self._answers = self._scored(reference.logits, self._texts)

    @property
    def metric(self) -> str:
        """Name of what the loss is measured in."""
        found = self._rows.evaluation
        return found.metric if found else "expected agreement with PyTorch"

    def reference_metrics(self) -> dict[str, float]:
        """The task's metrics of the PyTorch model; empty without labels."""
        return self._metrics(self._answers)

    def judge(self, precision: str, decoder: Decoder, *, scored: bool = True) -> Verdict:
        """Run one model and judge it.

        Args:
            precision: Its name.
            decoder: The model.
            scored: Whether the metric is measured too; else the loss is the expected one.
        """
        texts = _greedy(decoder, self._rows.prompts, self._rows.options)
        parity, regrets = self._compare(decoder, texts)
        answers = self._scored(partial(token_logits, decoder), texts) if scored else None
        loss = self._loss(answers) if answers is not None else _regret(regrets)
        metric = self.metric if answers is not None else "expected agreement with PyTorch"
        return Verdict(
            precision=precision,
            parity=parity,
            loss=loss,
            metric=metric,
            metrics=self._metrics(answers),
            refused=refusal(precision, parity, loss, metric, self._budget),
            uncertain=doubt(loss, self._budget),
        )

    def _compare(
        self, decoder: Decoder, texts: Sequence[Sequence[int]]
    ) -> tuple[dict[str, float], list[float]]:
        prompts, right = self._rows.prompts, self._texts
        same = [list(one) == list(two) for one, two in zip(texts, right, strict=True)]
        apart = [place for place, alike in enumerate(same) if not alike]
        ties = sum(self._is_tie(place, texts[place]) for place in apart)
        distance = _Distance()
        some = slice(0, _FORCED)
        along = self._reference.logits(prompts[some], right[some])
        for expected, given in zip(
            along, token_logits(decoder, prompts[some], right[some]), strict=True
        ):
            distance.add(expected, given)
        counts = {"identical": float(np.mean(same)), "ties": ties, "rows": len(texts)}
        return distance.parity() | counts, distance.regrets

    def _is_tie(self, place: int, text: Sequence[int]) -> bool:
        """Whether PyTorch holds the first two tokens that differ for equally likely."""
        right = self._texts[place]
        first = next(
            (at for at, pair in enumerate(zip(right, text, strict=False)) if pair[0] != pair[1]),
            None,
        )
        if first is None:
            return False
        (logits,) = self._reference.logits([self._rows.prompts[place]], [right[: first + 1]])
        gap = logits[first, right[first]] - logits[first, text[first]]
        return bool(abs(gap) <= TIE * max(1.0, float(np.abs(logits[first]).max())))

    def _scored(self, logits: Logits, texts: Sequence[Sequence[int]]) -> list[Any] | None:
        return None if self._rows.answers is None else self._rows.answers(logits, texts)

    def _loss(self, answers: list[Any]) -> PairedLoss:
        evaluation, targets = self._rows.evaluation, self._rows.targets
        if evaluation is None or self._answers is None:
            raise TypeError("Answers are scored by an evaluation.")
        sign = 1.0 if evaluation.higher_is_better else -1.0
        return paired_loss(
            sign * evaluation.per_example(self._answers, targets),
            sign * evaluation.per_example(answers, targets),
        )

    def _metrics(self, answers: list[Any] | None) -> dict[str, float]:
        if answers is None or self._rows.evaluation is None:
            return {}
        report = self._rows.evaluation.report(answers, self._rows.targets)
        return {name: round(value, 6) for name, value in flat_metrics(report).items()}


def _greedy(
    decoder: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> list[list[int]]:
    """The new tokens of each prompt; prompts of like lengths together."""
    found: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for begin in range(0, len(order), _ROWS):
        batch = order[begin : begin + _ROWS]
        made = generate(decoder, [prompts[place] for place in batch], options)
        for place, (text,) in zip(batch, made, strict=True):
            found[place] = text.tokens
    return found


def _regret(regrets: Sequence[float]) -> PairedLoss:
    lost = np.array(regrets)
    return paired_loss(np.zeros_like(lost), -lost)

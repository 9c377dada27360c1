"""The quality gate of models that write texts: are the texts the same, and are they as good?

The gate measures three things on the same prompts, the first two against PyTorch:

Parity: the share of greedy texts that equal those of ``generate`` token by token (``identical``),
and, for the tokens of PyTorch's own texts, how far the logits differ and how often the most likely
token is the same (``agreement``). In float32 every text has to be identical, except texts that
first differ where PyTorch gives two tokens the same logit up to rounding (``ties``).

Independence of the batch: how far the probabilities of the next token differ for a prompt alone
and in a batch (``batch_diff``), see `nlplug.export.gate`.

Loss: how much of the task's metric is lost, paired by row: bits per byte of given texts, or chrF
of written texts. Without labels it is the loss that PyTorch's probabilities expect, see
`nlplug.export.parity.expected_regret`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nlplug.export.gate import EXPECTED_AGREEMENT, GateResult, contributions, metrics_of
from nlplug.export.paired import PairedLoss, paired_loss
from nlplug.export.parity import Parity, expected_regret, score_difference
from nlplug.export.preflight.alternatives import check_alternatives
from nlplug.export.preflight.answers import LOOK, check_answers
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.preflight.suspects import suspects
from nlplug.runtime.decoding.generate import generate
from nlplug.runtime.decoding.scoring import token_logits

if TYPE_CHECKING:
    from nlplug.evaluation.base import Evaluation
    from nlplug.runtime.decoding.decoder import Decoder
    from nlplug.runtime.decoding.options import DecodingOptions

TIE = 1e-4
"""Largest difference of two logits, relative to the largest one (at least 1), that is rounding."""

_LEARNED = 0.05
"""Share of the bits of equal probabilities that the least that a model has learned saves."""
_ROWS = 16
_FORCED = 128
"""Number of texts for whose tokens logits are compared."""
_BATCHED = 32
"""Approximate number of prompts that are run alone and in batches."""

Logits = Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]]], Iterable[np.ndarray]]
Answers = Callable[[Logits, Sequence[Sequence[int]]], list[Any]]
"""Makes what the evaluation scores, from the logits of given texts and from the greedy texts."""


@dataclass(frozen=True)
class DecodingRows:
    """What the gate compares on.

    Attributes:
        prompts: Token ids, a hundred prompts or more.
        options: Greedy decoding.
        origin: Description of the rows, for report and manifest.
        evaluation: Scores answers; None without labels.
        answers: Makes the answers that are scored.
        targets: The right answers.
        score_some: What each of some labelled rows contributes to the metric, from the logits of
            given texts; None where the metric is that of written texts.
    """

    prompts: Sequence[Sequence[int]]
    options: DecodingOptions
    origin: str
    evaluation: Evaluation | None = None
    answers: Answers | None = None
    targets: Sequence[Any] = ()
    score_some: Callable[[Logits], np.ndarray] | None = None


class Reference(Protocol):
    """What graphs are compared with."""

    def greedy(self, prompts: Sequence[Sequence[int]], options: DecodingOptions) -> list[list[int]]:
        """The new tokens of each prompt."""

    def logits(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]
    ) -> Iterator[np.ndarray]:
        """Like `nlplug.runtime.decoding.scoring.token_logits`."""


class EarlierGraph:
    """A `Reference` that runs a graph on one prompt at a time.

    Args:
        decoder: The model.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def greedy(self, prompts: Sequence[Sequence[int]], options: DecodingOptions) -> list[list[int]]:
        """See `Reference.greedy`."""
        return [
            tokens for prompt in prompts for tokens in _greedy(self._decoder, [prompt], options)
        ]

    def logits(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]
    ) -> Iterator[np.ndarray]:
        """See `Reference.logits`."""
        for prompt, text in zip(prompts, texts, strict=True):
            yield from token_logits(self._decoder, [prompt], [text])


class DecodingGate:
    """Compares decoders with PyTorch on the same rows.

    Args:
        rows: The rows to compare on.
        reference: The PyTorch model, or an earlier graph.
        budget: Largest mean loss of the metric that is accepted.
    """

    def __init__(self, rows: DecodingRows, reference: Reference, *, budget: float) -> None:
        self._rows = rows
        self._reference = reference
        self._budget = budget
        self._texts = reference.greedy(rows.prompts, rows.options)
        self._answers = self._scored(reference.logits, self._texts)

    @property
    def metric(self) -> str:
        """Name of the metric that the loss is measured in."""
        found = self._rows.evaluation
        return found.metric if found else EXPECTED_AGREEMENT

    def reference_metrics(self) -> dict[str, float]:
        """The task's metrics of the PyTorch model; empty without labels."""
        return self._metrics(self._answers)

    def check_reference(self, model: Any) -> list[CheckpointFinding]:
        """What is wrong with the answers of the PyTorch model to labelled rows.

        Args:
            model: The ``transformers.PreTrainedModel`` that the reference runs.
        """
        evaluation, score = self._rows.evaluation, self._rows.score_some
        if evaluation is None or self._answers is None:
            return []
        if score is None:
            return check_answers(evaluation, self._answers, self._rows.targets, model)
        from nlplug.export.torch_decoder import TorchDecoder

        def scored(other: Any) -> np.ndarray:
            return score(TorchDecoder(other).logits)

        tokens = int(model.get_input_embeddings().weight.shape[0])

        def equal(_: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> Iterator[Any]:
            return (np.zeros((len(text), tokens), np.float32) for text in texts)

        found = []
        chance, own = score(equal), scored(model)
        if own.mean() - chance.mean() < _LEARNED * -chance.mean():
            text = (
                f"The PyTorch model has {-own.mean():.3g} {self.metric.replace('_', ' ')} on "
                f"{len(own)} of the texts, and equal probabilities for all {tokens:,} tokens have "
                f"{-chance.mean():.3g}.{suspects(model)}"
            )
            found.append(CheckpointFinding("answers", text, LOOK))
        return found + check_alternatives(model, scored, wrong=bool(found), unit=self.metric)

    def judge(
        self, precision: str, decoder: Decoder, *, scored: bool = True, fixed: bool = False
    ) -> GateResult:
        """Run one exported model and compare it with the reference.

        Args:
            precision: Its name.
            decoder: The model.
            scored: Whether to measure the metric too; without, the loss is the expected one.
            fixed: Whether its answers must be independent of the batch, as with fixed scales.
        """
        texts = _greedy(decoder, self._rows.prompts, self._rows.options)
        parity, regrets = self._compare(decoder, texts)
        parity["batch_diff"] = self._batch_difference(decoder)
        answers = self._scored(partial(token_logits, decoder), texts) if scored else None
        if answers is None:
            loss, metric = (
                paired_loss(np.zeros(len(regrets)), -np.array(regrets)),
                EXPECTED_AGREEMENT,
            )
        else:
            loss, metric = self._loss(answers), self.metric
        return GateResult.of(
            precision,
            parity,
            loss,
            metric,
            self._metrics(answers),
            budget=self._budget,
            fixed=fixed,
        )

    def _batch_difference(self, decoder: Decoder) -> float:
        """The largest difference of a probability of a next token, alone and in a batch."""
        step = max(1, len(self._rows.prompts) // _BATCHED)
        prompts, texts = self._rows.prompts[::step], self._texts[::step]
        together = token_logits(decoder, prompts, texts)
        worst = 0.0
        for prompt, text, given in zip(prompts, texts, together, strict=True):
            (alone,) = token_logits(decoder, [prompt], [text])
            worst = float(np.maximum(worst, score_difference(alone, given)))
        return worst

    def _compare(
        self, decoder: Decoder, texts: Sequence[Sequence[int]]
    ) -> tuple[dict[str, float], list[float]]:
        prompts, right = self._rows.prompts, self._texts
        same = [list(one) == list(two) for one, two in zip(texts, right, strict=True)]
        different = [row for row, equal in enumerate(same) if not equal]
        parity, regrets = Parity(), []
        some = slice(0, _FORCED)
        for expected, given in zip(
            self._reference.logits(prompts[some], right[some]),
            token_logits(decoder, prompts[some], right[some]),
            strict=True,
        ):
            parity.add(expected, given)
            regrets.append(expected_regret(expected, given))
        return parity.summary() | {
            "identical": float(np.mean(same)),
            "ties": sum(self._is_tie(row, texts[row]) for row in different),
            "rows": len(texts),
        }, regrets

    def _is_tie(self, row: int, text: Sequence[int]) -> bool:
        """Whether PyTorch's logits of the first two tokens that differ are equal up to rounding."""
        right = self._texts[row]
        first = next(
            (at for at, pair in enumerate(zip(right, text, strict=False)) if pair[0] != pair[1]),
            None,
        )
        if first is None:
            return False
        (logits,) = self._reference.logits([self._rows.prompts[row]], [right[: first + 1]])
        gap = logits[first, right[first]] - logits[first, text[first]]
        return bool(abs(gap) <= TIE * max(1.0, float(np.abs(logits[first]).max())))

    def _scored(self, logits: Logits, texts: Sequence[Sequence[int]]) -> list[Any] | None:
        return None if self._rows.answers is None else self._rows.answers(logits, texts)

    def _loss(self, answers: list[Any]) -> PairedLoss:
        evaluation, targets = self._rows.evaluation, self._rows.targets
        if evaluation is None or self._answers is None:
            raise TypeError("Answers are scored by an evaluation.")
        return paired_loss(
            contributions(evaluation, self._answers, targets),
            contributions(evaluation, answers, targets),
        )

    def _metrics(self, answers: list[Any] | None) -> dict[str, float]:
        return metrics_of(self._rows.evaluation, answers, self._rows.targets)


def _greedy(
    decoder: Decoder, prompts: Sequence[Sequence[int]], options: DecodingOptions
) -> list[list[int]]:
    """The new tokens of each prompt; prompts of similar lengths are decoded together."""
    found: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for begin in range(0, len(order), _ROWS):
        batch = order[begin : begin + _ROWS]
        made = generate(decoder, [prompts[place] for place in batch], options)
        for place, (text,) in zip(batch, made, strict=True):
            found[place] = text.tokens
    return found

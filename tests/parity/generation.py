"""Texts that transformers generates, and whose difference from ours is only a near tie."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from decoding_kit import END, PAD, make_model, make_seq2seq, trimmed
from parity.compare import Answer

from nlplug.runtime.decoding.generate import Generated

NEAR = 1e-4
"""Scores that differ by less may change places: float32 sums in another order."""
_LOOKS_BACK = frozenset({"repetition_penalty", "no_repeat_ngram_size", "bad_words_ids"})


@dataclass(frozen=True, eq=False)
class Shape:
    """One kind of decoder.

    Attributes:
        name: As the tables call it.
        kit: Its shape in `decoding_kit.MODELS`, or `SEQ2SEQ_MODELS`.
        changes: Of the configuration.
        plain: Compare the plain graph too.
        fast: There is a fast graph.
        sources: It is an encoder with a decoder, and prompts are what it reads.
    """

    name: str
    kit: str
    changes: dict[str, Any] = field(default_factory=dict)
    plain: bool = False
    fast: bool = True
    sources: bool = False


SHAPES = [
    Shape("GPT-2", "gpt2", plain=True),
    Shape("GPT-NeoX", "gpt_neox"),
    Shape("GPT-NeoX, in turn", "gpt_neox-in-turn"),
    Shape("Llama", "llama", plain=True),
    Shape("Llama 3, long", "llama3"),
    Shape("SmolLM", "llama", {"tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    Shape("Mistral", "mistral"),
    Shape("Mistral, windows of 8", "mistral", {"sliding_window": 8}, plain=True, fast=False),
    Shape("Qwen2", "qwen2"),
    Shape("Marian", "marian", {"decoder_start_token_id": PAD}, plain=True, sources=True),
    Shape("BART", "bart", plain=True, sources=True),
    Shape("mBART", "mbart", sources=True),
    # Padding has no position in it, wherever it stands; so it is a token that no text goes on from.
    Shape("M2M100", "m2m_100", {"pad_token_id": END}, sources=True),
    Shape("Pegasus", "pegasus", sources=True),
    Shape("T5", "t5", plain=True, sources=True),
    Shape("mT5", "mt5", sources=True),
]
GRAPHS = {
    f"{shape.name} ({graph})": (shape, graph)
    for shape in SHAPES
    for graph, there in (("fast", shape.fast), ("plain", shape.plain))
    if there
}
"""What is compared: each shape with each of its graphs, by name."""


def make(shape: Shape) -> Any:
    """The model in PyTorch, with random weights."""
    maker = make_seq2seq if shape.sources else make_model
    return maker(shape.kit, **shape.changes)


class Peer:
    """transformers' ``generate``, on a batch padded on the left, or of sources, on the right.

    What looks back at the text would count the padding to it there: with such settings, prompts of
    one length make a batch.
    """

    def __init__(
        self, model: Any, texts: Sequence[Sequence[int]], settings: dict[str, Any]
    ) -> None:
        self._model = model
        self._texts = texts
        self._settings = {"do_sample": False, **settings}
        self._reads = bool(model.config.is_encoder_decoder)

    def answers(self) -> list[list[Answer]]:
        """What it generates for each prompt."""
        numbers = list(range(len(self._texts)))
        if self._reads or not _LOOKS_BACK & self._settings.keys():
            return self._run(numbers)
        found: dict[int, list[Answer]] = {}
        for length in {len(text) for text in self._texts}:
            group = [number for number in numbers if len(self._texts[number]) == length]
            found.update(zip(group, self._run(group), strict=True))
        return [found[number] for number in numbers]

    def gap(self, number: int, own: Sequence[int], theirs: Sequence[int]) -> float:
        """How much less our token scores where two greedy texts first differ."""
        place = next(n for n, (a, b) in enumerate(zip(own, theirs, strict=False)) if a != b)
        scores = self._generate([number]).scores[place][0]
        return float(scores[theirs[place]] - scores[own[place]])

    def _run(self, numbers: Sequence[int]) -> list[list[Answer]]:
        made = self._generate(numbers)
        texts = [trimmed(row) for row in self._new(made, numbers)]
        values = getattr(made, "sequences_scores", None)
        scores = [0.0] * len(texts) if values is None else values.tolist()
        each = len(texts) // len(numbers)
        return [
            [((place, tuple(texts[first + place])), scores[first + place]) for place in range(each)]
            for first in range(0, len(texts), each)
        ]

    def drawn(self) -> tuple[np.ndarray, Any]:
        """Tokens that it draws, int64 of shape (texts, tokens), and the scores of each step."""
        numbers = range(len(self._texts))
        made = self._generate(numbers)
        return np.array(self._new(made, numbers)), made.scores

    def _new(self, made: Any, numbers: Sequence[int]) -> list[list[int]]:
        start = 1 if self._reads else max(len(self._texts[number]) for number in numbers)
        return [row[start:].tolist() for row in made.sequences]

    def _generate(self, numbers: Sequence[int]) -> Any:
        import torch

        texts = [self._texts[number] for number in numbers]
        settings = dict(self._settings)
        if allowed := settings.get("prefix_allowed_tokens_fn"):
            # It is told the place in the batch, which is not that among all texts.
            settings["prefix_allowed_tokens_fn"] = lambda place, ids: allowed(numbers[place], ids)
        longest = max(map(len, texts))
        gaps = [longest - len(text) for text in texts]
        if self._reads:
            ids = [[*text, *[PAD] * gap] for text, gap in zip(texts, gaps, strict=True)]
            mask = [[1] * len(text) + [0] * gap for text, gap in zip(texts, gaps, strict=True)]
        else:
            ids = [[*[END] * gap, *text] for text, gap in zip(texts, gaps, strict=True)]
            mask = [[0] * gap + [1] * len(text) for text, gap in zip(texts, gaps, strict=True)]
        with torch.no_grad():
            return self._model.generate(
                torch.tensor(ids),
                attention_mask=torch.tensor(mask),
                return_dict_in_generate=True,
                output_scores=True,
                **settings,
            )


def answers_of(texts: Sequence[Generated]) -> list[Answer]:
    """Our texts of a prompt by place and tokens, with the scores of beams."""
    return [
        ((place, tuple(text.tokens)), 0.0 if text.score is None else text.score)
        for place, text in enumerate(texts)
    ]


def near(
    peer: Peer, number: int, own: Sequence[Answer], theirs: Sequence[Answer]
) -> Callable[[Hashable], str | None]:
    """Whether the texts of a prompt differ by a near tie alone."""

    def explain(_: Hashable) -> str | None:
        one, two = (np.array([score for _, score in given]) for given in (own, theirs))
        if one.any():
            tied = bool((np.abs(one - two) < NEAR).all())
        else:
            ours: Any = own[0][0]
            other: Any = theirs[0][0]
            tied = abs(peer.gap(number, ours[1], other[1])) < NEAR
        return "near ties" if tied else None

    return explain

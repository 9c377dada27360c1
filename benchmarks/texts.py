"""The texts and documents that every contender reads: from a fixed seed, the same everywhere."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from pathlib import Path

SEED = 20261
MEAN_WORDS = 30.0
MAX_WORDS = 250
SIGMA = 0.8
"""Spread of the log-normal lengths: a median of 22 words, one text in 300 at the cap."""

DOCUMENT_MEAN_WORDS = 150.0
DOCUMENT_CHARACTERS = 3000
"""Length at which a document is cut."""

LATENCY_TOKENS = 27
"""Length of the one short text, with its two special tokens."""

_WORD = re.compile(r"[a-z]{2,}\Z")
_ENDS = (".", ".", ".", ".", "!", "?")


def load_vocabulary(path: Path) -> list[str]:
    """The whole English words of a BERT ``vocab.txt``, most frequent first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if _WORD.match(line)]


def make_texts(vocabulary: Sequence[str], count: int, seed: int = SEED) -> list[str]:
    """``count`` texts of mixed length, of Zipf-distributed words in punctuated sentences.

    The lengths are log-normal with a mean of 30 words, cut at 250. About one word in ten is a
    hyphenated pair or a number, so a text has about 1.3 tokens per word, as in running English.
    """
    return _make(vocabulary, count, seed, MEAN_WORDS, MAX_WORDS)


def make_documents(vocabulary: Sequence[str], count: int, seed: int = SEED) -> list[str]:
    """``count`` documents of mixed length: like the texts, with a mean of 150 words.

    Cut at 3,000 characters, which some of them reach.
    """
    documents = _make(vocabulary, count, seed, DOCUMENT_MEAN_WORDS, DOCUMENT_CHARACTERS // 2)
    return [document[:DOCUMENT_CHARACTERS] for document in documents]


def _make(vocabulary: Sequence[str], count: int, seed: int, mean: float, longest: int) -> list[str]:
    rng = random.Random(seed)
    weights = [1.0 / (rank + 10) for rank in range(len(vocabulary))]
    cumulative = []
    total = 0.0
    for weight in weights:
        total += weight
        cumulative.append(total)
    mu = math.log(mean) - SIGMA**2 / 2
    texts = []
    for _ in range(count):
        length = min(longest, max(1, round(rng.lognormvariate(mu, SIGMA))))
        words = rng.choices(vocabulary, cum_weights=cumulative, k=length)
        texts.append(_punctuate(words, vocabulary, rng))
    return texts


def _punctuate(words: list[str], vocabulary: Sequence[str], rng: random.Random) -> str:
    out: list[str] = []
    starts = True
    for position, word in enumerate(words):
        if rng.random() < 0.07:
            word = f"{word}-{rng.choice(vocabulary)}"
        elif rng.random() < 0.03:
            word = str(rng.randrange(2, 2027))
        if starts:
            word = word.capitalize()
        starts = position == len(words) - 1 or rng.random() < 0.07
        out.append(word + (rng.choice(_ENDS) if starts else "," if rng.random() < 0.06 else ""))
    return " ".join(out)

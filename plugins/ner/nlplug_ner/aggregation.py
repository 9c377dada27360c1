"""Groups token scores into entities, with the aggregation strategies of Hugging Face pipelines.

The strategies return what transformers 4.57 returns, with these corrections:

- ``first``, ``average`` and ``max`` choose a label per word; `Tags.word_starts` finds the words.
  With tokenizers other than WordPiece, transformers splits at spaces, so ``Paris,`` and
  ``d'Apple`` are one word each: the comma becomes part of the place, and the company gets the
  label of ``d'`` (huggingface/transformers#27876). It also does not split at line breaks, treats
  a Chinese sentence as one word, and splits an amount such as ``5.975,74`` if offsets are relative
  to the word (huggingface/transformers#23322). With WordPiece it compares lengths, and joins a
  word that lost an accent to the previous word.
- An entity does not begin or end within a character or with whitespace, and is not only the
  mark of a space. It does not go on after a tab or an empty line: the cells of a table and
  paragraphs do not share names.
- Only a prefix of the label scheme is removed from a label: ``work-of-art`` keeps its name.
- ``E-`` and ``S-`` (or ``L-`` and ``U-``) are read if the model has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nlplug.families.token_classification.tagged_text import Tags

Strategy = Literal["none", "simple", "first", "average", "max"]


@dataclass(frozen=True)
class TokenRuns:
    """Runs of tokens (tokens, words or entities), each with one label.

    Attributes:
        firsts: (runs,) the first token of each run; a run ends where the next one begins.
        labels: (runs,) the id of its label.
        scores: (runs,) the probability of the label.
        rests: (runs,) which runs cannot begin an entity: they continue a character.
    """

    firsts: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    rests: np.ndarray


class Scheme:
    """The label scheme of a model: the entity type of each label, and which labels begin one.

    Args:
        labels: Names by id, such as ``O``, ``B-PER``, ``I-PER``.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        def all_used(letters: str) -> bool:
            return all(any(label.startswith(f"{x}-") for label in labels) for x in letters)

        # One label such as E-commerce does not make the scheme BIES.
        prefixes = next((known for known in ("BIES", "BILU") if all_used(known)), "BI")
        kinds = [
            label[2:] if label[1:2] == "-" and label[0] in prefixes else label for label in labels
        ]
        self.names = list(dict.fromkeys(kinds))
        self.kind = np.array([self.names.index(kind) for kind in kinds])
        first = {"B", "S", "U"} & set(prefixes)
        self.begins = np.array([label[1:2] == "-" and label[0] in first for label in labels])


def label_tokens(tags: Tags) -> TokenRuns:
    """Each token with its best label."""
    labels = tags.scores.argmax(axis=1)
    places = np.arange(len(tags))
    return TokenRuns(places, labels, tags.scores[places, labels], tags.shared)


def label_characters(tags: Tags, scheme: Scheme) -> TokenRuns:
    """As `label_tokens`, but the rest of a character is of the kind of its first token."""
    labels = tags.scores.argmax(axis=1)
    places = np.arange(len(tags))
    rests = np.flatnonzero(tags.shared)
    if len(rests):
        owner = np.maximum.accumulate(np.where(tags.shared, 0, places))[rests]
        of_kind = scheme.kind == scheme.kind[labels[owner]][:, None]
        labels[rests] = np.where(of_kind, tags.scores[rests], -1).argmax(axis=1)
    return TokenRuns(places, labels, tags.scores[places, labels], tags.shared)


def label_words(tags: Tags, strategy: Strategy) -> TokenRuns:
    """Each word with one label.

    Args:
        tags: The tokens.
        strategy: Whose label: the ``first`` token's, that of the token that is surest (``max``), or
            the best one by the ``average`` of the scores.
    """
    firsts = tags.word_starts
    if strategy == "average":
        lengths = np.diff(firsts, append=len(tags))
        scores = np.add.reduceat(tags.scores, firsts, axis=0) / lengths[:, None]
    elif strategy == "max":
        best = tags.scores.max(axis=1)
        words = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(tags)))
        surest = np.flatnonzero(best == np.maximum.reduceat(best, firsts)[words])
        _, earliest = np.unique(words[surest], return_index=True)
        scores = tags.scores[surest[earliest]]
    else:
        scores = tags.scores[firsts]
    labels = scores.argmax(axis=1)
    places = np.arange(len(firsts))
    return TokenRuns(firsts, labels, scores[places, labels], np.zeros(len(firsts), dtype=bool))


def group(runs: TokenRuns, scheme: Scheme, apart: np.ndarray) -> TokenRuns:
    """Neighbors of one kind as one run, whose score is their mean; ``labels`` are kinds then.

    A ``B-`` begins a new run; an ``I-`` continues the run before where that is of the same kind,
    else it begins one as well.

    Args:
        runs: Tokens or words.
        scheme: The labels of the model.
        apart: (tokens,) which tokens begin a new run in any case.
    """
    kinds = scheme.kind[runs.labels]
    begins = scheme.begins[runs.labels] & ~runs.rests
    begins[0] = True
    begins[1:] |= (kinds[1:] != kinds[:-1]) | apart[runs.firsts[1:]]
    places = np.flatnonzero(begins)
    totals = np.add.reduceat(runs.scores.astype(np.float64), places)
    means = totals / np.diff(places, append=len(kinds))
    return TokenRuns(runs.firsts[places], kinds[places], means, runs.rests[places])

"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/sentiment/*.jsonl.gz`` and writes into a folder:

- ``train.jsonl.gz``: everything for one epoch. Sentences and phrases stand in it three times
  (twice as tokenized in the source, once in ordinary spelling), long reviews once.
- ``eval.jsonl.gz``: sentences, customer reviews and long reviews held out by a hash, to watch
  training and to gate the export. Phrases cut from a held-out sentence are dropped from training.
- ``imdb_heldout.jsonl.gz``: 2,000 long reviews, for the figures in the model card only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from recipes import labelled, rank, write_rows

from nlplug.data import read_rows

SENTENCE_COPIES = 2
EVAL_SENTENCES, EVAL_REVIEWS, EVAL_LONG = 400, 150, 100
LONG_HELD_OUT, LONG_TRAIN = 2000, 9000

_CONTRACTION = re.compile(r" (n't|'s|'re|'ve|'ll|'d|'m)\b")
_SPLIT_CONTRACTION = re.compile(r" (n 't|' ?(?:s|re|ve|ll|d|m))\b")
_CLOSING = re.compile(r" ([,.!?;:%)\]])")
_OPENING = re.compile(r"([(\[$#]) ")

Labelled = tuple[str, int]


def ordinary(text: str) -> str:
    """Ordinary spelling of a text in treebank tokens: ``does n't work .`` → ``doesn't work.``"""
    text = text.replace("-lrb-", "(").replace("-rrb-", ")").replace("``", '"').replace("''", '"')
    text = _SPLIT_CONTRACTION.sub(lambda match: match[1].replace(" ", ""), text)
    text = _CONTRACTION.sub(r"\1", text)
    text = _OPENING.sub(r"\1", _CLOSING.sub(r"\1", text))
    return text.replace(" -- ", " - ").replace("`", "'")


def plain(text: str) -> str:
    """Only the letters and digits, to find a phrase in the sentence that contains it."""
    return " " + " ".join(re.findall(r"[a-z0-9]+", text.lower())) + " "


def load(folder: Path, name: str) -> list[Labelled]:
    path = folder / f"{name}_train.jsonl.gz"
    rows = read_rows(path, columns=("text", "label"))
    pairs = {row.values["text"].strip(): int(row.values["label"]) for row in rows}
    return sorted(pairs.items(), key=lambda pair: rank(pair[0]))


def without_cut_from(phrases: list[Labelled], held: Iterable[Labelled]) -> Iterator[Labelled]:
    """The phrases, without those of four or more words that a held-out sentence contains."""
    sentences = "\n".join(plain(text) for text, _ in held)
    for text, label in phrases:
        bare = plain(text)
        if len(bare.split()) < 4 or bare not in sentences:
            yield text, label


def prepare(data: Path, target: Path) -> None:
    """Write the three files.

    Args:
        data: The folder that holds ``train/sentiment``.
        target: Where to write; made if absent.
    """
    source = data / "train" / "sentiment"
    sentences, reviews = load(source, "rotten_tomatoes"), load(source, "customer_reviews")
    phrases, long = load(source, "sst2"), load(source, "imdb")
    held = sentences[:EVAL_SENTENCES] + reviews[:EVAL_REVIEWS]
    short = [
        *without_cut_from(phrases, held),
        *without_cut_from(sentences[EVAL_SENTENCES:], held),
        *reviews[EVAL_REVIEWS:],
    ]
    copies = short * SENTENCE_COPIES + [(ordinary(text), label) for text, label in short]
    long, long_held = long[LONG_HELD_OUT:], long[:LONG_HELD_OUT]
    target.mkdir(parents=True, exist_ok=True)
    write_rows(target / "train.jsonl.gz", labelled(copies + long[EVAL_LONG:][:LONG_TRAIN]))
    write_rows(target / "eval.jsonl.gz", labelled(held + long[:EVAL_LONG]))
    write_rows(target / "imdb_heldout.jsonl.gz", labelled(long_held))

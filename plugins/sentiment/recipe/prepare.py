"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/sentiment/*.jsonl.gz``, and for texts without judgement
``$NLPLUG_DATA/train/qa/{squad_dev_articles,qamr}_train.jsonl.gz`` and
``$NLPLUG_DATA/train/topic/{banking77,clinc150}_train.jsonl.gz``. Writes into a folder:

- ``first.jsonl.gz``: everything for one epoch of the first run. Sentences and phrases stand in it
  twice (as tokenized in the source, and in ordinary spelling), the others once.
- ``last.jsonl.gz``: for the runs that go on from it: the same, with sentences and phrases once.
- ``watch.jsonl.gz`` and ``eval.jsonl.gz``: sentences, customer reviews and long reviews held out by
  a hash, to choose the checkpoint and to gate the export. Phrases cut from a held-out sentence are
  dropped from training.
- ``imdb_heldout.jsonl.gz``: 2,000 long reviews; ``comments_heldout.jsonl.gz``: comments with a
  judgement; ``neutral_heldout.jsonl.gz``: comments and other texts without one, whose label means
  nothing. They are for the figures in the model card only.

The column ``soft`` holds the probabilities of both labels for texts that are neutral or mixed: one
half each. Their column ``label`` is drawn, as each row needs one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recipes import labelled, rank, share, write_rows

from nlplug.data import read_rows

EVAL_SENTENCES, EVAL_REVIEWS, EVAL_LONG = 400, 150, 100
LONG_HELD_OUT = 2000
COMMENTS_HELD_OUT = 0.04
# Texts that state or ask something, from each set without judgements.
FACTS = 3000
MIXED = 3000
POSITIVE = frozenset(
    {"admiration", "amusement", "approval", "caring", "excitement", "gratitude", "joy", "love"}
    | {"optimism", "pride", "relief"}
)
NEGATIVE = frozenset(
    {"anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear"}
    | {"grief", "nervousness", "remorse", "sadness"}
)
UNDECIDED = [0.5, 0.5]

_CONTRACTION = re.compile(r" (n't|'s|'re|'ve|'ll|'d|'m)\b")
_SPLIT_CONTRACTION = re.compile(r" (n 't|' ?(?:s|re|ve|ll|d|m))\b")
_CLOSING = re.compile(r" ([,.!?;:%)\]])")
_OPENING = re.compile(r"([(\[$#]) ")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z])")

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


def comments(folder: Path) -> tuple[list[Labelled], list[str]]:
    """Comments with one judgement, and those that have none or both."""
    judged: list[Labelled] = []
    undecided: list[str] = []
    for row in read_rows(folder / "goemotions_train.jsonl.gz", columns=("text", "labels")):
        text, found = row.values["text"].strip(), set(row.values["labels"])
        good, bad = bool(found & POSITIVE), bool(found & NEGATIVE)
        if found == {"neutral"} or (good and bad):
            undecided.append(text)
        elif good != bad and "neutral" not in found:
            judged.append((text, int(good)))
    return judged, undecided


def facts(train: Path) -> list[str]:
    """Sentences of an encyclopedia, requests and questions: texts without a judgement."""
    found = []
    for name, column in (
        ("qa/squad_dev_articles", "context"),
        ("qa/qamr", "context"),
        ("topic/banking77", "text"),
        ("topic/clinc150", "text"),
    ):
        rows = read_rows(train / f"{name}_train.jsonl.gz", columns=(column,))
        texts = {row.values[column] for row in rows}
        if column == "context":
            texts = {sentence for text in texts for sentence in _SENTENCE_END.split(text)}
        found += sorted(texts, key=rank)[:FACTS]
    return found


def mixed(reviews: list[Labelled], count: int, chance: random.Random) -> Iterator[str]:
    """Texts of a positive and a negative sentence of customers, in any order."""
    sides = [[text for text, label in reviews if label == side] for side in (0, 1)]
    for _ in range(count):
        pair = [chance.choice(side) for side in sides]
        yield " ".join(chance.sample(pair, 2))


def undecided(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Rows of texts without a judgement."""
    return ({"text": text, "label": int(share(text) < 0.5), "soft": UNDECIDED} for text in texts)


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train``.
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
    usual = [(ordinary(text), label) for text, label in short]
    long, long_held = long[LONG_HELD_OUT:], long[:LONG_HELD_OUT]
    judged, unclear = comments(source)
    stated = facts(data / "train")
    chance = random.Random(7)
    rest = [pair for pair in judged if share(pair[0]) >= COMMENTS_HELD_OUT]
    neither = [
        *(text for text in [*unclear, *stated] if share(text) >= COMMENTS_HELD_OUT),
        *mixed(reviews[EVAL_REVIEWS:], MIXED, chance),
    ]
    others = rest + long[EVAL_LONG:]
    target.mkdir(parents=True, exist_ok=True)
    write_rows(target / "first.jsonl.gz", labelled(short + usual + others), undecided(neither))
    write_rows(target / "last.jsonl.gz", labelled(short + others), undecided(neither))
    for name in ("watch", "eval"):
        write_rows(target / f"{name}.jsonl.gz", labelled(held + long[:EVAL_LONG]))
    write_rows(target / "imdb_heldout.jsonl.gz", labelled(long_held))
    kept = [pair for pair in judged if share(pair[0]) < COMMENTS_HELD_OUT]
    write_rows(target / "comments_heldout.jsonl.gz", labelled(kept))
    apart = [text for text in [*unclear, *stated] if share(text) < COMMENTS_HELD_OUT]
    write_rows(target / "neutral_heldout.jsonl.gz", undecided(apart))

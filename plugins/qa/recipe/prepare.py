"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/qa/*.jsonl.gz`` and writes into a folder:

- ``first.jsonl.gz``: what the model reads first, several passes over all sets. A question of QAMR
  stands on its sentence among up to seven others, which are different ones in each pass.
- ``last.jsonl.gz``: what it reads last: mostly paragraphs of Wikipedia, as in the intended use.
- ``watch.jsonl.gz``: questions with and without answers on held-out paragraphs of SQuAD, which
  choose the checkpoint.
- ``eval.jsonl.gz``: questions with answers on other held-out paragraphs, to gate the export.
- ``no_answer.jsonl.gz``: all questions on those paragraphs, also those without an answer, for the
  threshold of "no answer" and the figures in the model card only.

Questions without an answer are those of SQuAD 2.0, and two kinds that are made here: questions on
another paragraph of the same article, and questions with a name or a number of theirs replaced.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from recipes import share, write_rows

from nlplug.data import read_rows

HELD_OUT, WATCHED = 0.055, 0.08
PASSES = 3
MOST_OTHERS = 7
LAST_QAMR, LAST_STORIES = 8_000, 1_000
# Shares of questions that are repeated on another paragraph, or with something replaced.
ELSEWHERE, REPLACED = 0.15, 0.25
# The questions of PolicyQA repeat each other.
POLICIES = 0.3

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z])")
_NAME = re.compile(r"(?<=\s)[A-Z][\w'’-]*(?:\s[A-Z][\w'’-]*)*")
_NUMBER = re.compile(r"\b\d{2,4}\b")

Row = dict[str, Any]


def load(folder: Path, name: str) -> list[Row]:
    path = folder / f"{name}_train.jsonl.gz"
    columns = ("id", "title", "context", "question", "answers")
    return [row.values for row in read_rows(path, columns=columns)]


def among(row: Row, others: Sequence[str], most: int, chance: random.Random) -> Row:
    """A question about a sentence with other sentences added to its context."""
    around = chance.sample(others, chance.randint(0, most))
    place = chance.randint(0, len(around))
    front = "".join(f"{sentence} " for sentence in around[:place])
    answers = row["answers"]
    return {
        **row,
        "context": " ".join([f"{front}{row['context']}", *around[place:]]),
        "answers": {
            "text": answers["text"],
            "answer_start": [start + len(front) for start in answers["answer_start"]],
        },
    }


def unanswered(row: Row, **changed: str) -> Row:
    """A question that what changed in it leaves without an answer."""
    return {**row, **changed, "answers": {"text": [], "answer_start": []}}


def elsewhere(rows: Iterable[Row], chance: random.Random) -> Iterator[Row]:
    """Questions on another paragraph of their article that does not contain their answer."""
    answered = [row for row in rows if row["answers"]["text"]]
    paragraphs: dict[str, list[str]] = defaultdict(list)
    for row in answered:
        if row["context"] not in paragraphs[row["title"]]:
            paragraphs[row["title"]].append(row["context"])
    for row in answered:
        if chance.random() < ELSEWHERE:
            context = chance.choice(paragraphs[row["title"]])
            if not any(text.lower() in context.lower() for text in row["answers"]["text"]):
                yield unanswered(row, context=context)


def replaced(rows: Iterable[Row], chance: random.Random) -> Iterator[Row]:
    """Questions in which a name or number of their context is one of another paragraph."""
    answered = [row for row in rows if row["answers"]["text"]]
    known: dict[tuple[re.Pattern[str], str], list[str]] = defaultdict(list)
    for row in answered:
        for kind in (_NAME, _NUMBER):
            known[kind, row["title"]] += kind.findall(row["question"])
    for row in answered:
        question, context = row["question"], row["context"]
        found = [
            (match, kind)
            for kind in (_NAME, _NUMBER)
            for match in kind.finditer(question)
            if match[0] in context
        ]
        if not found or chance.random() >= REPLACED:
            continue
        match, kind = chance.choice(found)
        other = chance.choice(known[kind, row["title"]])
        if other not in context:
            changed = f"{question[: match.start()]}{other}{question[match.end() :]}"
            yield unanswered(row, question=changed)


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/qa``.
        target: Where to write; made if absent.
    """
    source = data / "train" / "qa"
    squad, stories = load(source, "squad_dev_articles"), load(source, "fairytaleqa")
    qamr = sorted(load(source, "qamr"), key=lambda row: share(row["id"] + row["question"]))
    searched, papers = load(source, "qed_nq"), load(source, "covidqa")
    policies = [row for row in load(source, "policyqa") if share(row["id"]) < POLICIES]
    held = [row for row in squad if share(row["context"]) < HELD_OUT]
    watched = [row for row in squad if HELD_OUT <= share(row["context"]) < WATCHED]
    kept = [row for row in squad if share(row["context"]) >= WATCHED]
    contexts = sorted({row["context"] for row in kept})
    sentences = sorted({row["context"] for row in qamr}) + [
        sentence
        for context in contexts
        for sentence in _SENTENCE_END.split(context)
        if 40 <= len(sentence) <= 250
    ]
    chance = random.Random(5)

    def passed(facts: Sequence[Row], *others: Sequence[Row]) -> list[Row]:
        """One pass over SQuAD, questions of QAMR, and other sets."""
        mixed = [among(row, sentences, MOST_OTHERS, chance) for row in facts]
        lacking = [*elsewhere(kept, chance), *replaced(kept, chance)]
        return [*kept, *lacking, *mixed, *(row for each in others for row in each)]

    first: list[Row] = []
    for number in range(PASSES):
        more = (searched, stories, papers) if number else (searched, stories, papers, policies)
        first += passed(qamr, *more) if number < PASSES - 1 else passed([], *more)
    target.mkdir(parents=True, exist_ok=True)
    write_rows(target / "first.jsonl.gz", first)
    some = chance.sample(stories, min(LAST_STORIES, len(stories)))
    write_rows(target / "last.jsonl.gz", passed(qamr[:LAST_QAMR], searched, some))
    write_rows(target / "watch.jsonl.gz", watched)
    write_rows(target / "eval.jsonl.gz", [row for row in held if row["answers"]["text"]])
    write_rows(target / "no_answer.jsonl.gz", held)

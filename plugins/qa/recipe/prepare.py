"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/qa/*.jsonl.gz`` and writes into a folder:

- ``first.jsonl.gz``: what the model reads first. Questions of QAMR, each on its sentence among up
  to three others, in which it has to be found; and questions on stories.
- ``train.jsonl.gz``: what it reads then, several times: SQuAD, with a quarter of its questions that
  have no answer, and some more of QAMR.
- ``last.jsonl.gz`` and ``again.jsonl.gz``: what it reads after that: the same of SQuAD, and
  questions of QAMR that it has not seen, among up to five other sentences.
- ``long.jsonl.gz``: what it reads last: likewise, with the rest of QAMR among up to seven.
- ``eval.jsonl.gz``: questions with answers on held-out paragraphs of SQuAD, to watch training and
  to gate the export.
- ``no_answer.jsonl.gz``: all questions on those paragraphs, also those without an answer, for the
  threshold of "no answer" and the figures in the model card only.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes import share, write_rows

from nlplug.data import read_rows

HELD_OUT = 0.055
NO_ANSWER = 1 / 4
FIRST_QAMR, LATER_QAMR, LAST_QAMR = 14_000, 2_500, 6_000
MOST_OTHERS, MOST_OTHERS_LAST, MOST_OTHERS_LONG = 3, 5, 7

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z])")

Row = dict[str, Any]


def load(folder: Path, name: str) -> list[Row]:
    path = folder / f"{name}_train.jsonl.gz"
    return [row.values for row in read_rows(path, columns=("id", "context", "question", "answers"))]


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


def prepare(data: Path, target: Path) -> None:
    """Write the files.

    Args:
        data: The folder that holds ``train/qa``.
        target: Where to write; made if absent.
    """
    source = data / "train" / "qa"
    squad, stories = load(source, "squad_dev_articles"), load(source, "fairytaleqa")
    qamr = sorted(load(source, "qamr"), key=lambda row: share(row["id"] + row["question"]))
    held = [row for row in squad if share(row["context"]) < HELD_OUT]
    kept = [
        row
        for row in squad
        if share(row["context"]) >= HELD_OUT
        and (row["answers"]["text"] or share(row["question"]) < NO_ANSWER)
    ]
    contexts = sorted({row["context"] for row in kept})
    sentences = sorted({row["context"] for row in qamr}) + [
        sentence
        for context in contexts
        for sentence in _SENTENCE_END.split(context)
        if 40 <= len(sentence) <= 250
    ]
    chance = random.Random(0)
    seen = FIRST_QAMR + LATER_QAMR
    longer = [among(row, sentences, MOST_OTHERS, chance) for row in qamr[:seen]]
    longest = [
        among(row, sentences, MOST_OTHERS_LAST, chance) for row in qamr[seen : seen + LAST_QAMR]
    ]
    again = random.Random(5)
    rest = [among(row, sentences, MOST_OTHERS_LONG, again) for row in qamr[seen + LAST_QAMR :]]
    target.mkdir(parents=True, exist_ok=True)
    write_rows(target / "first.jsonl.gz", [*longer[:FIRST_QAMR], *stories])
    write_rows(target / "train.jsonl.gz", [*kept, *longer[FIRST_QAMR:]])
    for name in ("last", "again"):
        write_rows(target / f"{name}.jsonl.gz", [*kept, *longest])
    write_rows(target / "long.jsonl.gz", [*kept, *rest])
    write_rows(target / "eval.jsonl.gz", [row for row in held if row["answers"]["text"]])
    write_rows(target / "no_answer.jsonl.gz", held)

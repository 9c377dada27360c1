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
  figures in the model card only.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nlplug.data import open_writer, read_rows

HELD_OUT = 0.055
NO_ANSWER = 1 / 4
FIRST_QAMR, LATER_QAMR, LAST_QAMR = 14_000, 2_500, 6_000
MOST_OTHERS, MOST_OTHERS_LAST, MOST_OTHERS_LONG = 3, 5, 7

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z])")

Row = dict[str, Any]


def share(text: str) -> float:
    """A number from 0 to 1 for a text, the same on every machine."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) / 2**32


def load(folder: Path, name: str) -> list[Row]:
    path = folder / f"{name}_train.jsonl.gz"
    return [row.values for row in read_rows(path, columns=("id", "context", "question", "answers"))]


def among(row: Row, others: Sequence[str], most: int, chance: random.Random) -> Row:
    """A question on a sentence as one on a paragraph, with other sentences around it."""
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


def write(path: Path, rows: Iterable[Row]) -> None:
    count = 0
    with open_writer(path) as writer:
        for row in rows:
            writer.write(row)
            count += 1
    print(f"{path.name}: {count:,} rows")


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
    write(target / "first.jsonl.gz", [*longer[:FIRST_QAMR], *stories])
    write(target / "train.jsonl.gz", [*kept, *longer[FIRST_QAMR:]])
    for name in ("last", "again"):
        write(target / f"{name}.jsonl.gz", [*kept, *longest])
    write(target / "long.jsonl.gz", [*kept, *rest])
    write(target / "eval.jsonl.gz", [row for row in held if row["answers"]["text"]])
    write(target / "no_answer.jsonl.gz", held)

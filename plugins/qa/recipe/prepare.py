"""Make the training, validation and hold-out files of the embedded model.

Reads ``$NLPLUG_DATA/train/qa/*.jsonl.gz`` and writes into a folder:

- ``first.jsonl.gz``: what the model reads first. Questions of QAMR, each on its sentence among up
  to three others, in which it has to be found; and questions on stories.
- ``train.jsonl.gz``: what it reads then, several times: SQuAD, with a quarter of its questions that
  have no answer, and some more of QAMR.
- ``last.jsonl.gz`` and ``again.jsonl.gz``: what it reads after that: the same of SQuAD, and
  questions of QAMR that it has not seen, among up to five other sentences.
- ``long.jsonl.gz``: what it reads after that: likewise, with the rest of QAMR among up to seven.
- ``absent.jsonl.gz``: what it reads last: all of SQuAD's questions, also those without an answer,
  and questions beside a text that cannot answer them: a similar paragraph of the same article,
  other sentences, another story.
- ``watched.jsonl.gz``: as many questions with as without an answer on paragraphs that ``absent``
  does not have, to watch that run and to fit the threshold of "no answer".
- ``eval.jsonl.gz``: questions with answers on held-out paragraphs of SQuAD, to watch the
  other runs and to gate the export.
- ``no_answer.jsonl.gz``: all questions on those paragraphs, also those without an answer, for the
  figures in the model card only.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from recipes import share, write_rows

from nlplug.data import read_rows

HELD_OUT = 0.055
WATCHED = 0.05
NO_ANSWER = 1 / 4
FIRST_QAMR, LATER_QAMR, LAST_QAMR = 14_000, 2_500, 6_000
MOST_OTHERS, MOST_OTHERS_LAST, MOST_OTHERS_LONG = 3, 5, 7
ABSENT_SQUAD, ABSENT_QAMR, ABSENT_STORIES = 1_500, 1_500, 400
BESIDE_QAMR, BESIDE_STORIES = 9_000, 1_500

NO_ANSWERS: dict[str, Any] = {"text": [], "answer_start": []}
_WORD = re.compile(r"\w{4,}")

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z])")

COLUMNS = ("id", "title", "context", "question", "answers")

Row = dict[str, Any]


def load(folder: Path, name: str) -> list[Row]:
    path = folder / f"{name}_train.jsonl.gz"
    return [row.values for row in read_rows(path, columns=COLUMNS)]


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


def elsewhere(row: Row, contexts: Sequence[str]) -> Row | None:
    """The question beside the context that shares most words with it and lacks its answer."""
    asked = set(_WORD.findall(row["question"].lower()))
    answers = [answer.lower() for answer in row["answers"]["text"]]
    others = [
        text
        for text in contexts
        if text != row["context"] and not any(answer in text.lower() for answer in answers)
    ]
    if not others:
        return None
    nearest = max(others, key=lambda text: len(asked & set(_WORD.findall(text.lower()))))
    return {**row, "context": nearest, "answers": NO_ANSWERS}


def without_answer(rows: Iterable[Row], most: int) -> list[Row]:
    """Questions beside another context of the same title."""
    found = list(rows)
    contexts: dict[str, set[str]] = {}
    for row in found:
        contexts.setdefault(row["title"], set()).add(row["context"])
    beside = (
        elsewhere(row, sorted(contexts[row["title"]])) for row in found if row["answers"]["text"]
    )
    return list(islice((row for row in beside if row), most))


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
    unseen = random.Random(6)
    every = [row for row in squad if share(row["context"]) >= HELD_OUT + WATCHED]
    watched = [row for row in squad if HELD_OUT <= share(row["context"]) < HELD_OUT + WATCHED]
    unseen.shuffle(every)
    unseen.shuffle(qamr)
    unseen.shuffle(stories)
    beside = [among(row, sentences, MOST_OTHERS_LONG, unseen) for row in qamr[:BESIDE_QAMR]]
    gaps = [
        {**row, "answers": NO_ANSWERS, "context": " ".join(unseen.sample(sentences, 5))}
        for row in without_answer(qamr[BESIDE_QAMR:], ABSENT_QAMR // 2)
    ]
    write_rows(
        target / "absent.jsonl.gz",
        every,
        without_answer(every, ABSENT_SQUAD),
        beside,
        gaps,
        without_answer(qamr[BESIDE_QAMR:][::-1], ABSENT_QAMR // 2),
        stories[:BESIDE_STORIES],
        without_answer(stories[BESIDE_STORIES:], ABSENT_STORIES),
        load(source, "qed_nq"),
    )
    missing = 2 * sum(bool(row["answers"]["text"]) for row in watched) - len(watched)
    write_rows(target / "watched.jsonl.gz", watched, without_answer(watched, missing))
    write_rows(target / "eval.jsonl.gz", [row for row in held if row["answers"]["text"]])
    write_rows(target / "no_answer.jsonl.gz", held)

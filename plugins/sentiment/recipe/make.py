"""Train, export and embed the sentiment model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/sentiment/recipe/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from pathlib import Path

from prepare import prepare
from recipes import embed, evaluated, fine_tuned, recalibrate, recipe_run, score, write_rows

from nlplug import Bundle
from nlplug.data import read_rows
from nlplug.evaluation.held_out import add_held_out
from nlplug.export.run import ExportConfig, export_model
from nlplug.pipelines import pipeline
from nlplug_sentiment.task import SentimentTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_sentiment" / "models" / "sentiment-en"
SST2_DEV = Path("dev") / "sentiment" / "sst2_dev.jsonl.gz"
# The window of the bundle. Longer texts have several, whose logits are averaged.
WINDOW = 256
# The score below which the card counts an answer as abstained.
LEAST = 0.75
# The share of the new weights in the mean with those that a CPU starts from.
SHARE = 0.7
# In the order of their ids in the prepared rows.
LABELS = ("negative", "positive")
# The seeds of the runs on a GPU whose mean is the model.
SEEDS = (8, 9, 10)
LICENSE = "Apache-2.0 base model; training data for research use (see README.md)"
DATA = [
    {"name": "SST-2", "license": "none stated, research use", "cite": "Socher et al. 2013"},
    {"name": "Rotten Tomatoes", "license": "none stated, research use", "cite": "Pang & Lee 2005"},
    {"name": "Customer reviews", "license": "none stated", "cite": "Hu & Liu 2004"},
    {"name": "IMDB", "license": "none stated, research use", "cite": "Maas et al. 2011"},
    {"name": "GoEmotions", "license": "Apache-2.0", "cite": "Demszky et al. 2020"},
    {"name": "SQuAD, sentences of paragraphs", "license": "CC BY-SA 4.0"},
    {"name": "QAMR, sentences", "license": "MIT", "cite": "Michael et al. 2018"},
    {"name": "Banking77", "license": "CC BY 4.0", "cite": "Casanueva et al. 2020"},
    {"name": "CLINC150", "license": "CC BY 3.0", "cite": "Larson et al. 2019"},
]


def taught(rows: Path, target: Path) -> None:
    """Write training rows whose targets are half labels and half answers of the embedded model.

    So it keeps what it knows of reviews while it learns of other texts. Where its answer is another
    label, and where a row has probabilities already, the target stays.
    """
    values = [row.values for row in read_rows(rows)]
    with pipeline("sentiment", BUNDLE, top_k=None, on_foreign="ignore") as judge:
        answers = judge([row["text"] for row in values])
    for row, answer in zip(values, answers, strict=True):
        label = int(row["label"])
        scores = {LABELS.index(one["label"]): one["score"] for one in answer}
        if "soft" not in row and scores[label] > 0.5:
            row["soft"] = [round(((at == label) + scores[at]) / 2, 4) for at in (0, 1)]
    write_rows(target, values)


def train(files: Path, work: Path, base: str) -> Path:
    """The fine-tuned checkpoint."""
    rows = files / "again.jsonl.gz"
    if not rows.is_file():
        taught(files / "last.jsonl.gz", rows)
    return fine_tuned(
        SentimentTask(),
        BUNDLE,
        files=files,
        settings=HERE,
        work=work,
        base=base,
        seeds=SEEDS,
        head=True,
        share=SHARE,
        again=rows,
    )


def export(checkpoint: Path, rows: Path, gate: Path, target: Path) -> None:
    """Export to int8; the gate compares it with PyTorch on labelled texts."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=SentimentTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=rows,
            name=BUNDLE.name,
            max_length=WINDOW,
            license=LICENSE,
            data=DATA,
            languages=("en",),
            description="Sentiment of English sentences and reviews: MiniLM-L6 in int8.",
        )
    )
    for result in report.results:
        print(result)


def abstained(bundle: Path, file: Path) -> float:
    """The share of the texts of a file whose best score is below `LEAST`."""
    texts = [row.values["text"] for row in read_rows(file, columns=("text",))]
    with pipeline("sentiment", bundle, min_score=LEAST) as judge:
        answers = list(judge.answers(texts))
    return sum(bool(answer[0].get("abstained")) for answer in answers) / len(answers)


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task="sentiment", output=BUNDLE)
    neutral = run.files / "neutral_heldout.jsonl.gz"
    if not neutral.is_file():
        prepare(run.data, run.files)
    rows, gate = run.files / "last.jsonl.gz", run.files / "eval.jsonl.gz"
    made = run.work / "bundle"
    if run.calibrate:
        recalibrate(SentimentTask(), BUNDLE, made, rows=rows, gate=gate)
    else:
        checkpoint = run.checkpoint or train(run.files, run.work, run.base)
        export(checkpoint, rows, gate, made)
    # Without a temperature: one that fits the sentences makes the scores of long reviews worse.
    add_held_out(SentimentTask(), Bundle.open(made), gate, temperature=False)
    sentences = run.data / SST2_DEV
    measured = {
        "@SST@": sentences,
        "@IMDB@": run.files / "imdb_heldout.jsonl.gz",
        "@COMMENTS@": run.files / "comments_heldout.jsonl.gz",
        "@MIXED@": gate,
    }
    figures = {mark: f"{score('sentiment', made, file):.3f}" for mark, file in measured.items()}
    for mark, file in (("@SST-NONE@", sentences), ("@NEUTRAL-NONE@", neutral)):
        figures[mark] = f"{abstained(made, file):.3f}"
    print(figures)
    for mark, file in (("@SST@", sentences), ("@MIXED@", gate), ("@IMDB@", measured["@IMDB@"])):
        ece = evaluated("sentiment", made, file).report["ece"]
        figures[mark.replace("@", "@ECE-", 1)] = f"{ece:.3f}"
    embed(made, run.output, HERE / "card.md", figures)


if __name__ == "__main__":
    main()

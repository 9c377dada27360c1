"""Train, tune, export and embed the intent model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/classification/recipe/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from pathlib import Path

from prepare import OUTSIDE, prepare
from recipes import checkpoint_of, embed, evaluated, recalibrate, recipe_run
from tune import tune

from nlplug import Bundle
from nlplug.evaluation.held_out import add_held_out
from nlplug.export.run import ExportConfig, export_model
from nlplug_classification.task import ClassificationTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_classification" / "models" / "intents-en"
# The window of the bundle. Longer texts have several, whose logits are averaged.
WINDOW = 128
# Minimum share of the validation texts with an intent that get the right one.
ACCURACY = 0.957
LICENSE = "Apache-2.0 base model; openly licensed training data (see README.md)"
DATA = [
    {"name": "CLINC150", "license": "CC BY 3.0", "cite": "Larson et al. 2019"},
    {"name": "BANKING77", "license": "CC BY 4.0", "cite": "Casanueva et al. 2020"},
    {"name": "SQuAD, questions", "license": "CC BY-SA 4.0", "cite": "Rajpurkar et al. 2018"},
    {"name": "QAMR, questions", "license": "MIT", "cite": "Michael et al. 2018"},
    {"name": "FairytaleQA, questions", "license": "Apache-2.0", "cite": "Xu et al. 2022"},
    {"name": "Tatoeba, sentences", "license": "CC BY 2.0 FR", "cite": "tatoeba.org"},
    {"name": "SMS Spam Collection", "license": "CC BY 4.0", "cite": "Almeida et al. 2011"},
]


def export(checkpoint: Path, rows: Path, gate: Path, target: Path, below: float) -> None:
    """Export to int8; the gate compares it with PyTorch at the chosen confidence."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=ClassificationTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=rows,
            eval_rows=5000,
            name=BUNDLE.name,
            max_length=WINDOW,
            options={"min_score": below, "abstain_label": OUTSIDE},
            license=LICENSE,
            data=DATA,
            languages=("en",),
            description="150 intents of an English assistant, or none of them: MiniLM-L6 in int8.",
        )
    )
    print(report.reference)
    for result in report.results:
        print(result)


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task="classification", output=BUNDLE)
    foreign = run.files / "foreign_heldout.jsonl.gz"
    if not foreign.is_file():
        prepare(run.data, run.files)
    rows, gate = run.files / "train.jsonl.gz", run.files / "eval.jsonl.gz"
    made = run.work / "bundle"
    if run.calibrate:
        recalibrate(ClassificationTask(), BUNDLE, made, rows=rows, gate=gate)
    else:
        checkpoint = checkpoint_of(
            ClassificationTask(),
            train=rows,
            eval=gate,
            settings=HERE / "train.toml",
            output=run.work / BUNDLE.name,
            base=run.base,
        )
        point = tune(checkpoint, gate, OUTSIDE, accuracy=ACCURACY)
        print(point)
        export(checkpoint, rows, gate, made, point.below)
    held_out, measured = run.files / "confidence.jsonl.gz", run.files / "measured.jsonl.gz"
    _, found = add_held_out(ClassificationTask(), Bundle.open(made), held_out)
    print(found)
    inside = evaluated("classification", made, gate).report
    outside = evaluated("classification", made, foreign).report
    figures = {
        "@BELOW@": f"{Bundle.open(made).manifest.options['min_score']:.2f}",
        "@ACCURACY@": f"{inside['in_scope_accuracy']:.3f}",
        "@RECALL@": f"{inside['out_of_scope_recall']:.2f}",
        "@PRECISION@": f"{inside['out_of_scope_precision']:.2f}",
        "@ECE@": f"{evaluated('classification', made, measured).report['ece']:.3f}",
        "@FOREIGN@": f"{outside['out_of_scope_recall']:.3f}",
    }
    print(figures)
    embed(made, run.output, HERE / "card.md", figures)


if __name__ == "__main__":
    main()

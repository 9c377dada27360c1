"""Train, export and embed the NER model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/ner/recipe/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from pathlib import Path

from prepare import prepare
from recipes import embed, evaluated, fine_tuned, recalibrate, recipe_run

from nlplug.export.run import ExportConfig, export_model
from nlplug_ner.task import NerTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_ner" / "models" / "ner-en"
DEV = Path("dev") / "ner"
# The seeds of the runs whose mean is the model.
SEEDS = (8, 9, 10)
# The window of the bundle. Longer texts have several that overlap.
WINDOW = 256
# A word has the label of its first token, as in training.
OPTIONS = {"aggregation_strategy": "first"}
LICENSE = "Apache-2.0 base model; training data for research, not commercial (see README.md)"
DATA = [
    {
        "name": "CoNLL-2003 (English)",
        "license": "annotations free; Reuters text by research agreement with NIST",
        "cite": "Tjong Kim Sang & De Meulder 2003",
    },
    {"name": "Broad Twitter Corpus", "license": "CC-BY-4.0", "cite": "Derczynski et al. 2016"},
    {"name": "WNUT 2017", "license": "CC-BY-4.0", "cite": "Derczynski et al. 2017"},
    {
        "name": "WikiANN (English)",
        "license": "ODC-BY; Wikipedia text CC-BY-SA",
        "cite": "Pan et al. 2017, Rahimi et al. 2019",
    },
    {
        "name": "WikiNEuRal (English)",
        "license": "CC-BY-NC-SA-4.0",
        "cite": "Tedeschi et al. 2021",
    },
    {"name": "Groningen Meaning Bank", "license": "public domain", "cite": "Bos et al. 2017"},
]


def train(files: Path, work: Path, base: str) -> Path:
    """The fine-tuned checkpoint."""
    return fine_tuned(
        NerTask(),
        BUNDLE,
        files=files,
        settings=HERE,
        work=work,
        base=base,
        seeds=SEEDS,
    )


def export(checkpoint: Path, rows: Path, gate: Path, target: Path) -> None:
    """Export to int8; the gate compares it with PyTorch on labelled texts."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=NerTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=rows,
            name=BUNDLE.name,
            max_length=WINDOW,
            options=OPTIONS,
            license=LICENSE,
            data=DATA,
            languages=("en",),
            description="Persons, organizations, places and others in English: MiniLM-L6 in int8.",
        )
    )
    for result in report.results:
        print(result)


def figures(made: Path, files: dict[str, Path]) -> dict[str, str]:
    """Entity F1, precision and recall on each file, by the placeholders of the card."""
    found = {}
    for mark, file in files.items():
        report = evaluated("ner", made, file).report
        numbers = {"F": report["f1"], "P": report["precision"], "R": report["recall"]}
        print(file.name, report["micro"], report["labels"])
        found |= {f"@{mark}-{name}@": f"{value:.3f}" for name, value in numbers.items()}
        found[f"@{mark}-ROWS@"] = f"{report['rows']:,}"
        found |= {
            f"@{mark}-{label}@": f"{scores['f1']:.3f}" for label, scores in report["labels"].items()
        }
    return found


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task="ner", output=BUNDLE)
    files = run.files
    if not (files / "wnut17_dev.jsonl.gz").is_file():
        prepare(run.data, files)
    rows, gate = files / "last.jsonl.gz", files / "eval.jsonl.gz"
    made = run.work / "bundle"
    if run.calibrate:
        recalibrate(NerTask(), BUNDLE, made, rows=rows, gate=gate)
    else:
        export(run.checkpoint or train(files, run.work, run.base), rows, gate, made)
    measured = {
        "CONLL": run.data / DEV / "conll2003_en_testa.jsonl.gz",
        "WNUT": files / "wnut17_dev.jsonl.gz",
        "BTC": files / "btc_heldout.jsonl.gz",
        "WIKI": files / "wikiann_heldout.jsonl.gz",
        "NEURAL": files / "wikineural_heldout.jsonl.gz",
    }
    embed(made, run.output, HERE / "card.md", figures(made, measured))


if __name__ == "__main__":
    main()

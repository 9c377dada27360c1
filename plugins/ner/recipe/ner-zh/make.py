"""Train, export and embed the Chinese NER model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/ner/recipe/ner-zh/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chinese import TEXTS, embedded_encoder, held_out, trained_and_exported
from recipes import embed, evaluated, recipe_run, write_rows

from nlplug.data import read_rows
from nlplug_ner.task import NerTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "nlplug_ner" / "models" / HERE.name
SET = Path("train") / "ner" / "zh_msra_train.jsonl.gz"
# The window of the bundle. Longer texts have several that overlap.
WINDOW = 256
LICENSE = "training data for research use (see README.md)"
DATA = [
    {"name": "MSRA, SIGHAN 2006", "license": "none stated, research use", "cite": "Levow 2006"},
    {"name": "Reviews of sentiment-zh", "license": "none stated, research use"},
    TEXTS,
]


def prepare(data: Path, target: Path) -> None:
    """Write the rows for training, and those that judge it: half watch, half are measured last."""
    parts: dict[str, list[dict[str, list[str]]]] = {"train": [], "eval": [], "measured": []}
    for row in read_rows(data / SET):
        text = "".join(row.values["tokens"])
        part = ("eval", "measured")[len(text) % 2] if held_out(text) else "train"
        parts[part].append({name: row.values[name] for name in ("tokens", "ner_tags")})
    for part, rows in parts.items():
        write_rows(target / f"{part}.jsonl.gz", rows)


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task=HERE.name, output=BUNDLE, base="", package=None)
    files = run.files
    if not (files / "measured.jsonl.gz").is_file():
        prepare(run.data, files)
    if not run.base and run.checkpoint is None:
        run = replace(run, base=str(embedded_encoder(run.work / "start")))
    made = trained_and_exported(
        NerTask(),
        run,
        name=BUNDLE.name,
        stages=[HERE / "train.toml"],
        max_length=WINDOW,
        license=LICENSE,
        data=DATA,
        description="Persons, organizations and places in Chinese: 4 layers of 384 in int8.",
    )
    found = evaluated("ner", made, files / "measured.jsonl.gz").report
    print(found)
    figures = {"@ROWS@": f"{found['rows']:,}"}
    figures |= {f"@{name.upper()}@": f"{found[name]:.3f}" for name in ("f1", "precision", "recall")}
    figures |= {f"@{label}@": f"{scores['f1']:.3f}" for label, scores in found["labels"].items()}
    embed(made, run.output, HERE / "card.md", figures)


if __name__ == "__main__":
    main()

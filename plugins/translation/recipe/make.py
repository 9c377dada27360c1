"""Train, export and embed the translation model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/translation/recipe/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pairs import vocabulary
from prepare import OPEN, RESTRICTED, prepare
from recipes import (
    checkpoint_of,
    embed,
    evaluated,
    gone_on,
    pretrained_of,
    recalibrate,
    recipe_run,
)

from nlplug.data import read_rows
from nlplug.export.run import ExportConfig, export_model
from nlplug_translation.task import TranslationTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_translation" / "models" / "translation-en-fr"
VOCABULARY = 10_000
"""Tokens, of which 256 are bytes."""
SHARES = (0.2, 0.3, 0.5)
"""Shares of the weights before, of those after the short texts, and of the last ones."""
LICENSE = "data under open licences, some CC-BY-SA and GPL (see README.md)"
DATA = [
    {"name": "Tatoeba", "license": "CC-BY-2.0-FR", "source": "manythings.org/anki"},
    {
        "name": "Software strings: LibreOffice, GNOME, KDE, WordPress, Microsoft and others",
        "license": "MPL-2.0, GPL-2.0, GPL-3.0, MIT",
    },
    {
        "name": "Manuals: LibreOffice help, GNOME help, git, tldr pages",
        "license": "MPL-2.0, CC-BY-SA-3.0, GPL-2.0, CC-BY-4.0",
    },
    {"name": "Acts and regulations of Canada", "license": "Open Government Licence - Canada"},
    {
        "name": "Documentation in prose: opensource.guide, React, Vue, Electron, Django, Mozilla",
        "license": "CC-BY-4.0, CC-BY-SA-4.0, MIT, BSD-3-Clause, MPL-2.0",
    },
    {"name": "Wiktionary", "license": "CC-BY-SA-3.0", "source": "open-dsl-dict"},
    {"name": "Names of CLDR and iso-codes", "license": "Unicode-3.0, LGPL-2.1-or-later"},
    {
        "name": "Strings of business software and shops: OCA, Monica, Kimai, Indico, Magento packs",
        "license": "AGPL-3.0, MIT, CC0-1.0",
    },
    {
        "name": "Texts of Canadian government services",
        "license": "Apache-2.0, MIT, Open Government Licence - Canada",
    },
    {"name": "TICO-19; SORMAS", "license": "CC0-1.0; GPL-3.0"},
    {"name": "Python's documentation", "license": "PSF-2.0; translations CC0-1.0"},
    {"name": "Bible and two novels", "license": "public domain"},
    {"name": "African Storybook", "license": "CC-BY-3.0, CC-BY-4.0"},
    {"name": "Phrases of letters and programs, in the recipe", "license": "Apache-2.0"},
]


def texts(pairs: Path) -> Iterator[str]:
    """Both sides of the pairs that are not only copied."""
    for row in read_rows(pairs):
        side = row.values["translation"]
        if side["en"] != side["fr"]:
            yield from side.values()


def train(files: Path, work: Path) -> Path:
    """The checkpoint: from scratch at a constant learning rate, then with one that falls to 0."""
    pairs, held_out = files / "train.jsonl.gz", files / "eval.jsonl.gz"
    first = pretrained_of(
        train=pairs,
        eval=held_out,
        settings=HERE / "first.toml",
        output=work / "first",
        tokenizer=vocabulary(texts(pairs), work / "vocabulary", size=VOCABULARY),
    )
    return checkpoint_of(
        TranslationTask(),
        train=pairs,
        eval=held_out,
        settings=HERE / "last.toml",
        output=work / "last",
        base=str(first),
    )


def train_again(files: Path, work: Path) -> Path:
    """The checkpoint that goes on from the weights of the embedded model.

    It learns short texts first, then all kinds at a lower rate. The mean with the weights before
    keeps what long texts would lose.
    """
    return gone_on(
        TranslationTask(),
        BUNDLE,
        files=files,
        settings=HERE,
        work=work,
        runs={"again": "again", "settle": "train"},
        shares=SHARES,
    )


def export(checkpoint: Path, pairs: Path, gate: Path, target: Path) -> None:
    """Export to int8; the gate compares it with PyTorch on pairs."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=TranslationTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=pairs,
            name=BUNDLE.name,
            options={"src_lang": "en", "tgt_lang": "fr", "best_length": 40},
            license=LICENSE,
            data=DATA,
            languages=("en", "fr"),
            description="English to French: everyday language, software, business, laws; in int8.",
        )
    )
    print(report.graph)
    for result in report.results:
        print(result)


def figures(made: Path, files: dict[str, Path]) -> dict[str, str]:
    """BLEU and chrF on each file, greedy and with 4 beams, by the placeholders of the card."""
    found = {}
    for mark, file in files.items():
        for name, beams in (("GREEDY", 1), ("BEAMS", 4)):
            report = evaluated("translation", made, file, num_beams=beams).report
            print(file.name, report)
            found |= {
                f"@{mark}-{name}-{metric.upper()}@": f"{report[metric]:.1f}"
                for metric in ("bleu", "chrf")
            }
            found[f"@{mark}-ROWS@"] = f"{report['rows']:,}"
    return found


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task="translation", output=BUNDLE, again=True)
    files = run.files
    if not (files / "eval.jsonl.gz").is_file():
        prepare(run.data, files)
    pairs, gate = files / "train.jsonl.gz", files / "eval.jsonl.gz"
    made = run.work / "bundle"
    if run.calibrate:
        recalibrate(TranslationTask(), BUNDLE, made, rows=pairs, gate=gate)
    else:
        make = train_again if run.again else train
        export(run.checkpoint or make(files, run.work), pairs, gate, made)
    measured = {
        domain.upper(): files / "heldout" / f"{domain}.jsonl.gz" for domain in (*OPEN, *RESTRICTED)
    }
    embed(made, run.output, HERE / "card.md", figures(made, measured))


if __name__ == "__main__":
    main()

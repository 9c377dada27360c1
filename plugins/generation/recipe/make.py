"""Train, export and embed the story model: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/generation/recipe/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from loops import is_stuck
from prepare import prepare
from recipes import checkpoint_of, embed, evaluated, gone_on, pretrained_of, recipe_run, suited

from nlplug import pipeline
from nlplug.data import read_rows
from nlplug.export.run import ExportConfig, export_model
from nlplug_generation.task import GenerationTask

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "nlplug_generation" / "models" / "tales-en"
PROMPTS = 200
# Shares of the weights before and after each training, chosen on the tales held out.
SHARES = (0.2, 0.6, 0.2)
# Chosen by reading: lower temperatures repeat texts, higher ones break the grammar.
OPTIONS = {"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1}
LICENSE = "weights Apache-2.0; texts public domain, CC-BY (see README.md)"
DATA = [
    {
        "name": "FairytaleQA, stories of the training and validation parts",
        "license": "Apache-2.0; stories public domain",
        "cite": "Xu et al. 2022",
    },
    {"name": "African Storybook, English", "license": "CC-BY-3.0 and CC-BY-4.0"},
    {"name": "Pratham Books StoryWeaver, English", "license": "CC-BY-4.0"},
    {
        "name": "ELTeC, English novels of 1840 to 1920",
        "license": "CC-BY-4.0; novels public domain",
        "cite": "Schöch et al. 2021",
    },
]


def train(files: Path, work: Path) -> Path:
    """The checkpoint: from scratch at a constant learning rate, then two runs in which it falls."""
    held_out, tales = files / "eval.jsonl.gz", files / "last.jsonl.gz"
    checkpoint = pretrained_of(
        train=files / "first.jsonl.gz",
        eval=held_out,
        settings=suited(HERE / "first.toml"),
        output=work / "first",
    )
    for settings, output in (("second.toml", "second"), ("last.toml", BUNDLE.name)):
        checkpoint = checkpoint_of(
            GenerationTask(),
            train=tales,
            eval=held_out,
            settings=HERE / settings,
            output=work / output,
            base=str(checkpoint),
        )
    return checkpoint


def train_again(files: Path, work: Path) -> Path:
    """The checkpoint that goes on from the weights of the embedded model; the end is on tales."""
    return gone_on(
        GenerationTask(),
        BUNDLE,
        files=files,
        settings=HERE,
        work=work,
        runs={"again": "again", "settle": "last"},
        shares=SHARES,
    )


def export(checkpoint: Path, gate: Path, target: Path) -> None:
    """Export to int8; the gate compares it with PyTorch on tales."""
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=GenerationTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            name=BUNDLE.name,
            options=OPTIONS,
            license=LICENSE,
            data=DATA,
            languages=("en",),
            description="Tales in simple English, continued: 6.4 million weights in int8.",
        )
    )
    print(report.graph)
    for result in report.results:
        print(result)


def prompts(file: Path) -> Iterator[str]:
    """The first words of each text, and some words from its middle."""
    for row in read_rows(file):
        words = row.values["text"].split()
        yield " ".join(words[:8])
        yield " ".join(words[len(words) // 2 :][:8])


def stuck(made: Path, file: Path) -> int:
    """Number of texts for `PROMPTS`, with the model's own settings, that repeat themselves."""
    some = list(islice(prompts(file), PROMPTS))
    with pipeline("generation", made, seed=1) as tell:
        answers = [answer[0]["generated_text"] for answer in tell.map(some)]
    for text in answers[:6]:
        print(repr(text))
    return sum(map(is_stuck, answers))


def figures(made: Path, test: Path) -> dict[str, str]:
    """Bits per byte, perplexity and loops, by the placeholders of the card."""
    report = evaluated("generation", made, test).report
    loops = stuck(made, test)
    print(test.name, report, loops)
    return {
        "@BITS@": f"{report['bits_per_byte']:.3f}",
        "@PERPLEXITY@": f"{report['perplexity']:.1f}",
        "@LOOPS@": f"{loops}",
        "@PROMPTS@": f"{PROMPTS}",
    }


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task="generation", output=BUNDLE, again=True)
    files = run.files
    if not (files / "eval.jsonl.gz").is_file():
        prepare(run.data, files)
    checkpoint = run.checkpoint or (train_again if run.again else train)(files, run.work)
    made = run.work / "bundle"
    export(checkpoint, files / "eval.jsonl.gz", made)
    test = run.data / "dev" / "lm" / "fairytales_test.jsonl.gz"
    embed(made, run.output, HERE / "card.md", figures(made, test))


if __name__ == "__main__":
    main()

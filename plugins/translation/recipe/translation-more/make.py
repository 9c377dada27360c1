"""Train and export a model of several languages: data to bundle in one command.

    NLPLUG_DATA=… PYTHONPATH=tools python plugins/translation/recipe/translation-more/make.py

Each step writes its result into the work folder; a run that was killed continues there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from pairs import part, vocabulary, write
from prepare import SETS, languages_of, marked, prepare
from recipes import checkpoint_of, evaluated, pretrained_of, recipe_run
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from nlplug import Bundle
from nlplug.data import read_rows
from nlplug.data.pairs import language_token
from nlplug.export.restore import restored
from nlplug.export.run import ExportConfig, export_model
from nlplug.models.atomic import Staged
from nlplug_translation.task import TranslationTask

HERE = Path(__file__).resolve().parent
FRENCH = HERE.parents[1] / "nlplug_translation" / "models" / "translation-en-fr"
VOCABULARY = 14_000
"""Tokens, of which 256 are bytes."""
READ = 4
"""One of so many pairs is read for the vocabulary."""
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
    {
        "name": "Documentation in prose: opensource.guide, React, Vue, Electron, Django, Mozilla",
        "license": "CC-BY-4.0, CC-BY-SA-4.0, MIT, BSD-3-Clause, MPL-2.0",
    },
    {"name": "Wiktionary; Ding", "license": "CC-BY-SA-3.0; GPL-2.0-or-later"},
    {"name": "Names of CLDR and iso-codes", "license": "Unicode-3.0, LGPL-2.1-or-later"},
    {
        "name": "Strings of business software and shops: OCA, Monica, Kimai, Indico, Magento packs",
        "license": "AGPL-3.0, MIT, CC0-1.0",
    },
    {"name": "BConTrasT: dialogues, English and German", "license": "CC-BY-SA-4.0"},
    {"name": "3AM: captions, English and Chinese", "license": "MIT"},
    {"name": "Acts and regulations of Canada", "license": "Open Government Licence - Canada"},
    {
        "name": "Texts of Canadian government services",
        "license": "Apache-2.0, MIT, Open Government Licence - Canada",
    },
    {"name": "TICO-19; SORMAS", "license": "CC0-1.0; GPL-3.0"},
    {"name": "Python's documentation", "license": "PSF-2.0; translations CC0-1.0"},
    {"name": "Bible and two novels", "license": "public domain"},
    {"name": "African Storybook", "license": "CC-BY-3.0, CC-BY-4.0"},
    {"name": "Phrases of letters and programs, in the recipes", "license": "Apache-2.0"},
]
SHOWN = ("tatoeba", "software", "manuals", "letters_business", "business_shop", "docs_prose")
"""The held-out sets that are measured."""
CALIBRATED = 2_000
"""Training pairs from which those for the scales of activations are drawn."""


def texts(pairs: Path) -> Iterator[str]:
    """Both sides of a part of the pairs; not of those that are only copied."""
    for row in read_rows(pairs):
        first, second = row.values["translation"].values()
        if first != second and part(first, READ, "vocabulary") == 0:
            yield first
            yield second


def train(files: Path, work: Path) -> Path:
    """The checkpoint: on a GPU from scratch, on a CPU from the weights of English to French."""
    pairs, gpu = files / "train.jsonl.gz", torch.cuda.is_available()
    tokens = vocabulary(
        texts(pairs),
        work / "vocabulary",
        size=VOCABULARY,
        tokens=sorted(language_token(languages_of(language)[1]) for language in SETS),
    )
    if gpu:
        return pretrained_of(
            train=pairs,
            eval=files / "eval.jsonl.gz",
            settings=HERE / "train.toml",
            output=work / "checkpoint",
            tokenizer=tokens,
        )
    start = restored(Bundle.open(FRENCH), work / "french")
    return checkpoint_of(
        TranslationTask(),
        train=files / "everyday.jsonl.gz",
        eval=files / "eval.jsonl.gz",
        settings=HERE / "everyday.toml",
        output=work / "everyday",
        base=str(with_vocabulary(start, tokens, work / "start")),
    )


def with_vocabulary(checkpoint: Path, tokens: Path, target: Path) -> Path:
    """A Marian checkpoint with the same layers and another vocabulary.

    A token that both vocabularies have keeps its embedding. Another one begins with the mean of the
    embeddings of the tokens that its text had.

    Args:
        checkpoint: Folder of the checkpoint.
        tokens: Folder of the tokenizer that it gets.
        target: Folder to write to. If it exists, nothing is done.

    Returns:
        ``target``.
    """
    if target.is_dir():
        return target
    before = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    after = AutoTokenizer.from_pretrained(tokens)
    known, old = before.get_vocab(), model.get_input_embeddings().weight.detach()
    rows = torch.zeros(-(-len(after) // 8) * 8, old.shape[1])  # a multiple of 8 for speed
    for token, place in after.get_vocab().items():
        text = after.convert_tokens_to_string([token])
        ids = [known[token]] if token in known else before.encode(text, add_special_tokens=False)
        rows[place] = old[ids or [before.pad_token_id]].mean(0)
    model.resize_token_embeddings(len(rows))
    model.get_input_embeddings().weight.data.copy_(rows)
    for config in (model.config, model.generation_config):
        config.pad_token_id = config.decoder_start_token_id = after.pad_token_id
        config.eos_token_id = after.eos_token_id
    model.generation_config.bad_words_ids = [[after.pad_token_id]]
    with Staged(target, folder=True) as staged:
        model.save_pretrained(staged.path)
        after.save_pretrained(staged.path)
        staged.commit()
    return target


def calibration(pairs: Path, target: Path) -> Path:
    """Training pairs of all languages, whose sources say to which language they are translated."""
    rows = [row.values["translation"] for row in read_rows(pairs)]
    made = []
    for row in rows[:: len(rows) // CALIBRATED]:
        (_, source), (language, text) = row.items()
        made += marked([(source, text)], language)
    write(target, made, "target", source="source")
    return target


def export(checkpoint: Path, files: Path, target: Path) -> None:
    """Export to int8; the gate compares it with PyTorch on pairs of all languages."""
    directions = {name: languages_of(name) for name in SETS}
    stated = {f"translation_{source}_to_{other}": {} for source, other in directions.values()}
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    config["task_specific_params"] = stated
    (checkpoint / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=target,
            task=TranslationTask(),
            precisions=("int8",),
            required=("int8",),
            eval_data=files / "gate.jsonl.gz",
            calibration=calibration(files / "train.jsonl.gz", files / "calibration.jsonl.gz"),
            name=HERE.name,
            options={"best_length": 40},
            license=LICENSE,
            data=DATA,
            languages=tuple(sorted({"en", *SETS})),
            description="English to German, Spanish and Chinese, and French to English; in int8.",
        )
    )
    print(report.graph)
    for result in report.results:
        print(result)


def measure(made: Path, heldout: Path) -> None:
    """Print BLEU and chrF of each direction and set with 4 beams."""
    for language, domains in SETS.items():
        source, target = languages_of(language)
        for domain in SHOWN:
            if domain in domains:
                file = heldout / f"{source}-{target}_{domain}.jsonl.gz"
                options = {"src_lang": source, "tgt_lang": target, "num_beams": 4}
                print(file.name, evaluated("translation", made, file, **options).report, flush=True)


def main() -> None:
    """Run all steps that are not yet done."""
    run = recipe_run(__doc__, task=HERE.name)
    if not (run.files / "eval.jsonl.gz").is_file():
        prepare(run.data, run.files)
    export(run.checkpoint or train(run.files, run.work), run.files, run.output)
    measure(run.output, run.files / "heldout")


if __name__ == "__main__":
    main()

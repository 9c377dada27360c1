"""``nlplug.train(…)``: a training run from Python."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlplug.errors import DataError, OptionError
from nlplug.families.family import load
from nlplug.models.atomic import Staged
from nlplug.models.bundle import Bundle
from nlplug.plugins import PluginHost
from nlplug.task import Task
from nlplug.train.config import validated
from nlplug.train.extensions import Extensions, Loss, Metric

if TYPE_CHECKING:
    from transformers import TrainerCallback

Rows = str | Path | Sequence[str | Path] | Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]]
"""A file, several files, or rows."""
_DATA = ("data", "eval", "test")
_ROWS = 'Give a file, a list of files, or a list of rows such as {"text": …, "label": …}.'
_READING = ("format", "delimiter", "encoding")


@dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: The folder of the bundle.
        metric: The score that chose the model.
        score: Its value on rows that did not train the model: of the evaluation rows, or by
            cross-validation.
        scores: All scores on these rows.
        report: The values of ``report.json``; empty if the family has no scoring. It is measured
            on the test rows, if there are any.
    """

    folder: Path
    metric: str
    score: float
    scores: dict[str, float]
    report: dict[str, Any]

    @property
    def bundle(self) -> Bundle:
        """The exported model, for `nlplug.pipeline`."""
        return Bundle.open(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The folder of the PyTorch checkpoint."""
        return self.folder.with_name(f"{self.folder.name}.training") / "model"

    @property
    def settings(self) -> Path:
        """The TOML file that repeats the run with ``nlplug train --config``."""
        return self.folder.with_name(f"{self.folder.name}.training") / "settings.toml"


def train(
    task: str | Task,
    data: Rows,
    *,
    output: str | Path,
    callbacks: Sequence[TrainerCallback] = (),
    metric: Metric | None = None,
    higher_is_better: bool = True,
    loss: Loss | None = None,
    host: PluginHost | None = None,
    **settings: Any,
) -> TrainResult:
    """Fine-tune a model on labelled rows and export it, like ``nlplug train``.

    Rows in memory are written to files in ``<output>.data``, named by their hash, so that the run
    can be resumed and repeated.

    Args:
        task: Name of an installed task, or a task.
        data: A file, several files, or rows as dicts, also of an iterator.
        output: Folder of the bundle.
        callbacks: Objects for the training loop; a cross-validation does not call them.
        metric: A function of the answers and the targets of the evaluation rows, as the scoring of
            the family gets them. It chooses the checkpoint; the quality gate and the report keep
            the family's own. A result is then not compared with a trivial answer.
        higher_is_better: Whether a higher ``metric`` is better.
        loss: A function of logits and labels that returns the mean loss of a batch as a tensor.
        host: The plugins to search; None: the installed plugins.
        **settings: The settings of ``nlplug train TASK``, with underscores. ``eval`` and ``test``
            may be rows too.

    Raises:
        UnknownTask: There is no such task.
        OptionError: A setting does not exist, or its value is out of bounds.
        DataError: The data cannot be used.
        MissingExtra: A package for training or an experiment tracker is not installed.
        TrainingError: Training cannot start or continue.
        TrainingInterrupted: The run was stopped by SIGINT or SIGTERM; it can be resumed.
        NothingLearned: The model is not better than a trivial answer.
        GateRefused: All exported precisions lost more quality than allowed.
    """
    from nlplug.train.run import train as run
    from nlplug.train.trials import Trial
    from nlplug.train.workspace import Workspace, check_output

    found = task if isinstance(task, Task) else (host or PluginHost.discover()).task(task)
    folder = Path(output)
    every = {"data": data, **{name: settings[name] for name in _DATA if name in settings}}
    given = {name: [*v] if isinstance(v, Iterator) else v for name, v in every.items()}
    texts = {name: _lines(name, value, settings) for name, value in given.items()}
    sources = {name: _sources(name, value, texts[name], folder) for name, value in given.items()}
    config = validated(load(found.family.settings), {**settings, **sources, "output": folder})
    check_output(folder)
    for name, text in texts.items():
        if text is not None:
            _write(Path(sources[name][0]), text)
    run(found, config, Extensions(callbacks, metric, higher_is_better, loss))
    work = Workspace.of(config)
    scores = dict(work.result()["scores"])
    trial = Trial.read(work.trial_file)
    file = folder.with_name(f"{folder.name}.report") / "report.json"
    report = json.loads(file.read_text(encoding="utf-8")) if found.family.scoring else {}
    chosen = trial.metric if trial is not None else str(report.get("metric"))
    return TrainResult(folder, chosen, float(scores[chosen]), scores, report)


def _lines(name: str, value: Any, settings: Mapping[str, Any]) -> str | None:
    """Rows in memory as JSON Lines; None if they are in files.

    Raises:
        DataError: The value is neither files nor rows, or a row cannot be written as JSON.
        OptionError: A setting says how to read a file, but the rows are in memory.
    """
    if isinstance(value, str | Path):
        return None
    if not isinstance(value, Sequence):
        raise DataError(
            f"{name} is of the type {type(value).__name__}, which is neither files nor rows.",
            hint=f'{_ROWS} The rows of a DataFrame are df.to_dict("records"). A data set of the '
            "datasets library is given by its id, or by the folder that save_to_disk writes.",
        )
    if not all(isinstance(item, str | Path) for item in value) and not all(
        isinstance(item, Mapping) for item in value
    ):
        raise DataError(f"The items of {name} are neither all files nor all rows.", hint=_ROWS)
    if not value or not isinstance(value[0], Mapping):
        return None
    for setting in _READING:
        if settings.get(setting) is not None:
            raise OptionError(
                f"{setting} is {settings[setting]!r}, but {name} is rows in memory.",
                hint=f"Leave {setting} out; the setting is for files.",
            )
    lines = []
    for number, row in enumerate(value, start=1):
        try:
            values = {key: _plain(value) for key, value in row.items()}
            lines.append(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{name}: row {number} cannot be written as JSON ({error}).",
                hint="Use texts, numbers, lists and dicts.",
            ) from None
    return "".join(lines)


def _plain(value: Any) -> Any:
    """A value of NumPy as one of Python, and None for the missing values of pandas."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return None if isinstance(value, float) and math.isnan(value) else value


def _sources(name: str, value: Any, text: str | None, output: Path) -> list[str]:
    if text is not None:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return [str(output.with_name(f"{output.name}.data") / f"{name}-{digest}.jsonl")]
    return [str(value)] if isinstance(value, str | Path) else [str(item) for item in value]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with Staged(file) as staged:
        staged.path.write_text(text, encoding="utf-8", errors="surrogatepass")
        staged.commit()

"""Adds to a bundle what rows that did not train the model say about its scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import BundleIncomplete, DataError, OptionError
from nlplug.evaluation.base import evaluation_of
from nlplug.evaluation.noticed import seen_before
from nlplug.evaluation.run import digest
from nlplug.families.family import load
from nlplug.models.bundle import Bundle
from nlplug.models.layout import CONFIDENCE_FILE
from nlplug.models.manifest import MANIFEST_FILE
from nlplug.models.writer import BundleWriter
from nlplug.pipelines import Pipeline

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.task import Task


@dataclass(frozen=True)
class HeldOut:
    """What held-out rows say about the scores of a model.

    Attributes:
        record: Content of ``confidence.json``; its form is that of the family. Empty: no file.
        options: Default options of the model that change with it.
        figures: Numbers for people, such as the calibration error before and after.
    """

    record: Mapping[str, Any]
    options: Mapping[str, Any]
    figures: Mapping[str, float]


def add_held_out(
    task: Task,
    bundle: Bundle,
    data: Path | DataFile,
    *,
    columns: Mapping[str, str] | None = None,
    output: Path | None = None,
    temperature: bool = True,
    threads: int | None = None,
) -> tuple[Bundle, dict[str, Any]]:
    """Fit the record of a bundle, and write the bundle with it.

    Args:
        task: The task of the model.
        bundle: The model.
        data: Labelled rows that did not train the model.
        columns: Names of columns in the file that differ from the default ones.
        output: Folder of the new bundle; None: that of the model.
        temperature: Whether to find a temperature; else that of the model is kept.
        threads: CPU threads.

    Returns:
        The bundle, and what was found: the number of rows, figures and changed options.

    Raises:
        OptionError: The family of the task has no such record.
        BundleIncomplete: The model has no manifest.
        DataError: The rows cannot be used, or the model was trained on this file.
        BundleError: ``output`` cannot be written, or the bundle is broken.
    """
    if not task.family.held_out:
        raise OptionError(
            f"The family {task.family.name!r} of the task {task.name!r} has no record of held-out "
            "rows.",
            hint="Models that classify texts or answer questions have one. min_score needs none.",
        )
    if bundle.manifest is None:
        raise BundleIncomplete(
            f"{bundle.path} has no {MANIFEST_FILE}.", hint="Export the model with `nlplug export`."
        )
    path = data if isinstance(data, Path) else data.path
    if seen := seen_before(bundle.manifest, digest(path), ("train",)):
        raise DataError(f"{path}: {seen}", hint="Give labelled rows that did not train the model.")
    samples = list(evaluation_of(task, bundle.labels).samples(data, **(columns or {})))
    with Pipeline(task, bundle, threads=threads) as pipe:
        found: HeldOut = load(task.family.held_out)(pipe, samples, temperature=temperature)
    figures = {name: float(f"{value:.6g}") for name, value in found.figures.items()}
    result = {"rows": len(samples), **figures}
    manifest = bundle.manifest.model_copy(
        update={
            "options": bundle.manifest.options | dict(found.options),
            "metrics": bundle.manifest.metrics | {"held_out": result},
        }
    )
    with BundleWriter(output or bundle.path) as writer:
        for name in bundle.manifest.files:
            (writer.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / name, writer.folder / name)
        if found.record:
            text = json.dumps(dict(found.record)) + "\n"
            (writer.folder / CONFIDENCE_FILE).write_text(text, encoding="utf-8")
        written = writer.commit(manifest)
    return written, result | dict(found.options)

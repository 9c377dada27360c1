"""Fixed scales for a bundle whose int8 graphs take them from each batch, without its checkpoint."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import ExportError, GateRefused, OptionError
from nlplug.export.config import ExportConfig
from nlplug.export.manifest import precision_record, tool_versions
from nlplug.export.run import ExportReport
from nlplug.families.family import load
from nlplug.models.bundle import Bundle
from nlplug.models.encryption import is_encrypted
from nlplug.models.layout import external_data_of, side_files
from nlplug.models.manifest import Manifest
from nlplug.models.writer import BundleWriter

if TYPE_CHECKING:
    from nlplug.export.build_result import BuildResult

REFERENCE = "the same weights with one scale per batch, one text at a time"
"""What the gate compares with, as there is no PyTorch model."""


def calibrate_bundle(config: ExportConfig) -> ExportReport:
    """Write a bundle again with fixed scales, if its answers stay as good.

    The weights of the graphs stay byte for byte. The reference of the gate is the earlier graph,
    run on one text at a time.

    Args:
        config: ``source`` is the folder of the bundle; of the other settings those of the gate and
            the calibration are used.

    Raises:
        OptionError: No graph of the bundle takes scales from each batch, or it is encrypted.
        GateRefused: The answers are worse than the budget allows, or still depend on the batch.
        ExportError: Models of the task, or graphs of this form, cannot be calibrated.
        DataError: The rows cannot be used.
        BundleError: ``output`` cannot be written, or the bundle is broken.
        MissingExtra: A package of the ``train`` extra is not installed.
    """
    earlier = Bundle.open(Path(config.source))
    if any(is_encrypted(path) for path in earlier.precisions.values()):
        raise OptionError(
            f"The model {earlier.name!r} is encrypted, so its graphs cannot be changed.",
            hint="Decrypt it first: nlplug models decrypt",
        )
    names = earlier.scales_by_batch
    if not names:
        raise OptionError(
            f"No graph of {earlier.name!r} takes scales from each batch, so none can be fixed.",
            hint="Its answers are already independent of the batch.",
        )
    calibrate = load(config.task.family.calibrator)
    with BundleWriter(config.output) as writer:
        draft = _copied(earlier, writer.folder)
        made: list[BuildResult] = [calibrate(config, earlier, draft, name) for name in names]
        if not all(one.calibration.activations for one in made):
            raise ExportError(
                f"The scales of {earlier.name!r} cannot be fixed: its graph has branches.",
                hint="Export the model from its checkpoint with `nlplug export`.",
            )
        results = [result for one in made for result in one.results]
        refused = [str(result.refused) for result in results if result.refused]
        if refused:
            raise GateRefused(
                f"The gate refused: {'; '.join(refused)}. {config.output} was not changed.",
                hint="Give more or other rows with --data, or allow a larger loss with --budget.",
            )
        bundle = writer.commit(_manifest(config, draft, made))
    return ExportReport(bundle, results, made[0].rows, made[0].reference, made[0].note)


def _copied(bundle: Bundle, folder: Path) -> Bundle:
    """The same bundle in another folder, whose files may be changed."""
    graphs = {
        path.relative_to(bundle.path).as_posix()
        for files in bundle.graphs.values()
        for path in files.values()
    }
    here = [
        path.relative_to(bundle.path).as_posix()
        for path in bundle.path.rglob("*")
        if path.is_file()
    ]
    names = set(bundle.manifest.files) if bundle.manifest else graphs | {*side_files(here)}
    for name in names | {data for graph in graphs for data in external_data_of(graph, here)}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / name, folder / name)
    moved = {
        graph: {
            precision: folder / path.relative_to(bundle.path) for precision, path in files.items()
        }
        for graph, files in bundle.graphs.items()
    }
    return replace(bundle, path=folder, graphs=moved)


def _manifest(config: ExportConfig, draft: Bundle, made: list[BuildResult]) -> Manifest:
    """The manifest as it was, with the new results."""
    task = config.task
    old = draft.manifest or Manifest(
        name=config.name or draft.name,
        task=task.name,
        hub_task=task.hub_task,
        labels=list(made[0].labels),
        max_length=draft.max_length,
        precisions={
            name: precision_record({graph: files[name] for graph, files in _files(draft).items()})
            for name in draft.precisions
        },
    )
    records = dict(old.precisions)
    for one in made:
        for result in one.results:
            records[result.precision] = precision_record(one.files[result.precision], result)
    quantization: dict[str, Any] = {
        **old.metrics.get("quantization", {}),
        "scales": "fixed",
        "calibration": asdict(made[0].calibration),
    }
    gate = {
        "rows": made[0].rows,
        "budget": config.budget,
        "refused": {},
        "reference": REFERENCE,
    }
    return old.model_copy(
        update={
            "precisions": records,
            "metrics": {**old.metrics, "gate": gate, "quantization": quantization},
            "tools": {**old.tools, **tool_versions()},
        }
    )


def _files(bundle: Bundle) -> dict[str, dict[str, str]]:
    return {
        graph: {name: path.relative_to(bundle.path).as_posix() for name, path in files.items()}
        for graph, files in bundle.graphs.items()
    }

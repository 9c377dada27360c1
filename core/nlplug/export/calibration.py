"""Fixing the scales of a bundle's int8 graphs: on which rows, and how each family runs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.evaluation.base import evaluation_of
from nlplug.export.branches import has_branches
from nlplug.export.decoder.export import save_graph
from nlplug.export.graph import histogram
from nlplug.export.rows import GateRows, calibration_feeds, gate_rows
from nlplug.export.scales import BY_BATCH, ActivationRecorder, fix_scales
from nlplug.extras import require

if TYPE_CHECKING:
    from nlplug.export.config import ExportConfig
    from nlplug.models.bundle import Bundle
    from nlplug.runtime.model import TaskModel
    from nlplug.task import TaskOptions

ROWS = 512
"""Maximum number of rows that scales are chosen on."""

_log = logging.getLogger(__name__)

Recorders = Mapping[str, ActivationRecorder]
"""One for each graph of a precision, by the name of the graph."""


@dataclass(frozen=True)
class Calibration:
    """How the scales of activations were chosen.

    Attributes:
        activations: Number of activations with a fixed scale; 0 if the graphs need none.
        rows: Description of the rows, for report and manifest.
    """

    activations: int = 0
    rows: str = ""


def calibration_rows(config: ExportConfig, labels: list[str], *, scored: bool = True) -> GateRows:
    """The rows to choose scales on: up to `ROWS` of the calibration file, else of the gate's rows.

    Labels are not used, so these may be the rows that the gate measures on.

    Args:
        config: The settings of the export.
        labels: Those of the model.
        scored: Whether rows can have the form that the scoring of the family reads.

    Raises:
        DataError: The file cannot be used.
    """
    task = config.task
    evaluation = evaluation_of(task, labels) if scored and task.family.scoring else None
    data = config.calibration or config.eval_data
    return gate_rows(task, evaluation, data, limit=ROWS, columns=config.columns)


def fix_graphs(
    config: ExportConfig,
    bundle: Bundle,
    precision: str,
    rows: str,
    run: Callable[[Recorders], None],
) -> Calibration:
    """Give the graphs of a precision fixed scales; their files are written again.

    Args:
        config: The settings of the export; with ``scales="batch"`` nothing is done.
        bundle: A folder that may be changed.
        precision: The precision.
        rows: Description of the rows.
        run: Runs the rows with recorders in place of sessions.
    """
    onnx = require("onnx", "train", purpose="Export")
    files: dict[str, Path] = {
        name: found[precision] for name, found in bundle.graphs.items() if precision in found
    }
    if not config.fixed:
        return Calibration()
    graphs = {name: onnx.load(str(path)) for name, path in files.items()}
    if not any(_by_batch(graph) for graph in graphs.values()):
        return Calibration()
    if any(has_branches(graph) for graph in graphs.values()):
        _log.warning("the scales of a graph with branches cannot be fixed")
        return Calibration()
    recorders = {name: ActivationRecorder(graph) for name, graph in graphs.items()}
    run(recorders)
    count = 0
    for name, graph in graphs.items():
        count += fix_scales(graph, recorders[name].activations)
        save_graph(graph, files[name])
    _log.info("fixed the scales of %d activations, measured on %s", count, rows)
    return Calibration(count, rows)


def fix_one_pass(
    config: ExportConfig,
    bundle: Bundle,
    precision: str,
    model: TaskModel[Any, Any],
    options: TaskOptions,
    rows: GateRows,
) -> Calibration:
    """`fix_graphs` for a model that answers with one run of one graph."""

    def run(recorders: Recorders) -> None:
        feeds = calibration_feeds(model, rows.inputs, options, limit=ROWS)
        for recorder in recorders.values():
            run_all(recorder, feeds)

    return fix_graphs(config, bundle, precision, rows.origin, run)


def run_all(recorder: ActivationRecorder, feeds: Iterable[Mapping[str, Any]]) -> None:
    """Run one batch after another."""
    for batch in feeds:
        recorder.run(None, batch)


def _by_batch(graph: Any) -> bool:
    return bool(histogram(graph).keys() & set(BY_BATCH))

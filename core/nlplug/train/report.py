"""The report of a training run: scores on the test rows, learning curve, data and gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlplug.evaluation import plots
from nlplug.evaluation.base import Table
from nlplug.evaluation.document import Document, Section
from nlplug.evaluation.report import model_sections, provenance, score_line, score_sections
from nlplug.evaluation.run import EvaluationResult, evaluate
from nlplug.families.family import load
from nlplug.models.bundle import Bundle
from nlplug.models.card import privacy_lines
from nlplug.pipelines import Pipeline
from nlplug.train.trials import Trial

if TYPE_CHECKING:
    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.workspace import Workspace


def training_report(task: Task, config: TrainConfig, work: Workspace) -> Document:
    """The report of a finished and exported run.

    Args:
        task: The task.
        config: The settings of the run.
        work: Its folder.
    """
    with Pipeline(task, Bundle.open(config.output), threads=config.threads) as pipe:
        result = evaluate(pipe, work.gate_file)
    metric = result.evaluation.metric
    run = _run(config, work, metric)
    known: Mapping[str, float] = work.result().get("baselines", {})
    result = replace(result, baselines=result.baselines | dict(known))

    def figures(pyplot: Any) -> dict[str, Any]:
        drawn = _learning(pyplot, run["curve"], metric, result.baselines)
        return drawn | dict(result.evaluation.plots(result.report, pyplot))

    return Document(
        title=f"Training of {result.model}",
        summary=[*_judged(result, work), _measured(result)],
        sections=[
            *score_sections(result),
            *model_sections(result.manifest),
            *_privacy(run),
            *_data(run["check"]),
            Section("Settings", table=_settings(config), detail=True),
            provenance(result),
        ],
        values=result.to_dict()
        | run
        | {
            "gate": result.manifest.metrics.get("gate") if result.manifest else None,
            "precisions": _precisions(result),
        },
        figures=figures,
    )


def refusal_report(task: Task, config: TrainConfig, work: Workspace, reason: str) -> Document:
    """The report of a finished run of which the quality gate refused all precisions.

    Args:
        task: The task.
        config: The settings of the run.
        work: Its folder.
        reason: What the gate says.
    """
    metric: str = load(task.family.scoring).metric
    run = _run(config, work, metric)
    scores = [[name, value] for name, value in run["selection"].items()]
    text = f"The PyTorch checkpoint is in {work.model}. These rows have chosen it."
    return Document(
        title=f"Training of {config.name or config.output.name}: no bundle was written",
        summary=[reason],
        sections=[
            Section("PyTorch", text, Table("", ["metric", "value"], scores)),
            *_data(run["check"]),
            Section("Settings", table=_settings(config), detail=True),
        ],
        values={"task": task.name, "metric": metric, "refused": reason, **run},
        figures=lambda pyplot: _learning(pyplot, run["curve"], metric, {}),
    )


def _run(config: TrainConfig, work: Workspace, metric: str) -> dict[str, Any]:
    """What the folder of a run says about it, as JSON values."""
    record = work.result()
    check: dict[str, Any] = {}
    privacy = record.get("privacy", {})
    # The check counts and quotes training rows.
    if not privacy and work.check_file.is_file():
        check = json.loads(work.check_file.read_text(encoding="utf-8"))
    return {
        "selection": record.get("scores", {}),
        "steps": record.get("steps"),
        "privacy": privacy,
        "curve": _curve(work, metric),
        "check": check,
        "settings": config.model_dump(mode="json"),
    }


def _privacy(run: Mapping[str, Any]) -> list[Section]:
    if not run["privacy"]:
        return []
    text = " ".join(filter(None, privacy_lines(run["privacy"])))
    text += " The wrong answers in this report are held-out rows."
    return [Section("Privacy", text, brief=True)]


def _learning(
    pyplot: Any, curve: list[dict[str, Any]], metric: str, baselines: Mapping[str, float]
) -> dict[str, Any]:
    scores = _series(curve, f"eval_{metric}")
    if len(scores) < 2:
        return {}
    losses = _series(curve, "loss")
    return {"Learning curve": plots.curve(pyplot, losses, scores, metric, baselines)}


def _judged(result: EvaluationResult, work: Workspace) -> list[str]:
    rows = f"{result.report['rows']:,} rows"
    trial = Trial.read(work.trial_file)
    about = [] if trial is None else [str(trial)]
    if work.gate_file == work.test_file:
        return [
            score_line(result),
            f"Measured on {rows} that did not choose the checkpoint.",
            *about,
        ]
    if work.gate_file == work.eval_file:
        return [
            score_line(result),
            f"Measured on the {rows} that chose the checkpoint, so the score is likely too high.",
            *about,
        ]
    return [
        *about,
        f"The result is trained on all {rows}. The numbers below are those of these rows, so they "
        "are too high; the cross-validation has scored rows that did not train the model.",
    ]


def _measured(result: EvaluationResult) -> str:
    rate = result.report["rows"] / result.seconds if result.seconds else 0.0
    size = f"{result.size / 1e6:.1f} MB"
    return f"{result.precision} on {result.device}: {size}, {rate:,.0f} rows/s."


def _precisions(result: EvaluationResult) -> dict[str, Any]:
    found = result.manifest.precisions if result.manifest else {}
    return {name: record.model_dump(mode="json") for name, record in found.items()}


def _data(check: Mapping[str, Any]) -> list[Section]:
    if not check:
        return []
    rows = [
        [finding["severity"], finding["message"], ", ".join(finding["examples"])]
        for finding in check["findings"]
    ]
    parts = ", ".join(f"{count:,} for {name}" for name, count in check["rows"].items())
    table = Table("", ["", "finding", "examples"], rows) if rows else None
    text = " ".join([*check["files"], f"Rows: {parts}."])
    return [Section("Data", text, table, detail=True)]


def _settings(config: TrainConfig) -> Table:
    given = config.model_dump(mode="json", exclude_defaults=True)
    return Table("", ["setting", "value"], [[name, json.dumps(v)] for name, v in given.items()])


def _curve(work: Workspace, metric: str) -> list[dict[str, Any]]:
    """The logged values; those that a resumed run logged again are left out."""
    if not work.curve.is_file():
        return []
    found: dict[tuple[int, bool], dict[str, Any]] = {}
    for line in work.curve.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut off
        # After the last step the result is scored again, which is no point of the curve.
        found.setdefault((values["step"], f"eval_{metric}" in values), values)
    return [found[key] for key in sorted(found)]


def _series(curve: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(values["step"], float(values[name])) for values in curve if name in values]

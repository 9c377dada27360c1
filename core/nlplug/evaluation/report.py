"""The report of an evaluation: scores, errors, the quality gate, size and speed, and the card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.evaluation.base import Table
from nlplug.evaluation.document import Document, Section

if TYPE_CHECKING:
    from nlplug.evaluation.run import EvaluationResult
    from nlplug.models.manifest import Manifest


def document(result: EvaluationResult) -> Document:
    """The report of an evaluation."""
    return Document(
        title=f"{result.model} on {result.data}",
        summary=[_headline(result), score_line(result), *result.noticed.lines()],
        sections=[
            *score_sections(result),
            *model_sections(result.manifest),
            provenance(result),
        ],
        values=result.to_dict(),
        figures=lambda pyplot: result.evaluation.plots(result.report, pyplot),
    )


def as_json(result: EvaluationResult) -> str:
    """All numbers as indented JSON."""
    return document(result).json()


def as_text(result: EvaluationResult) -> str:
    """Tables for the terminal."""
    return document(result).text()


def as_markdown(result: EvaluationResult) -> str:
    """A Markdown page without figures."""
    return document(result).markdown()


def write_report(result: EvaluationResult, folder: Path) -> Path:
    """Write the report to a folder; see `Document.write`."""
    return document(result).write(folder)


def score_line(result: EvaluationResult) -> str:
    """The main metric with its interval, and the baselines."""
    low, high = result.interval
    line = (
        f"{result.evaluation.metric} {result.score:.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}, {result.report['rows']:,} rows)"
    )
    known = [f"{name} {value:.4f}" for name, value in result.baselines.items()]
    return f"{line}; baseline: {', '.join(known)}" if known else line


def score_sections(result: EvaluationResult) -> list[Section]:
    """The score with its baselines, the tables of the family, and the wrong answers."""
    low, high = result.interval
    metric = result.evaluation.metric
    rows: list[list[Any]] = [["this model", result.score, f"{low:.4f} to {high:.4f}"]]
    rows += [[name, value, ""] for name, value in result.baselines.items()]
    beside = Table("", ["", metric, "95 % interval"], rows)
    sections = [Section("Score and baselines", table=beside, brief=True)]
    sections += [
        Section(table.title, table=table) for table in result.evaluation.tables(result.report)
    ]
    if result.mistakes:
        sections.append(_mistakes(result))
    return sections


def model_sections(manifest: Manifest | None) -> list[Section]:
    """What the quality gate found, with the precisions that it refused and the reasons."""
    if manifest is None:
        return []
    gate: Mapping[str, Any] = manifest.metrics.get("gate") or {}
    rows: list[list[Any]] = []
    for name, record in manifest.precisions.items():
        size = sum(manifest.files[file].size for file in record.by_graph.values())
        lost, low, high = (record.metrics.get(key) for key in ("loss", "loss_low", "loss_high"))
        rows.append(
            [
                name,
                f"{size / 1e6:.1f} MB",
                _points(lost),
                "-" if low is None or high is None else f"{_points(low)} to {_points(high)}",
                "kept",
            ]
        )
    rows += [[name, "-", "-", "-", f"refused: {why}"] for name, why in _refused(gate)]
    if not rows:
        return []
    header = ["precision", "size", "points lost", "95 % interval", "outcome"]
    text = f"Compared with PyTorch on {gate['rows']}." if gate.get("rows") else ""
    return [Section("Quality gate", text, Table("", header, rows), brief=True)]


def provenance(result: EvaluationResult) -> Section:
    """The model card: what was measured on which data, size, speed, and where the model is from."""
    rate = result.report["rows"] / result.seconds if result.seconds else 0.0
    rows: list[list[Any]] = [
        ["task", result.task],
        ["model", result.model],
        ["precision", f"{result.precision} on {result.device}"],
        ["size of the graphs", f"{result.size / 1e6:.2f} MB"],
        ["speed", f"{rate:,.0f} rows/s"],
        ["data", result.data],
        ["SHA-256 of the data", result.sha256 or "-"],
    ]
    manifest = result.manifest
    if manifest is not None:
        rows += [[_source(record), _digest(record)] for record in manifest.data]
        rows += [
            [name, value]
            for name, value in (
                ("labels", f"{len(manifest.labels):,}" if manifest.labels else ""),
                ("languages", ", ".join(manifest.languages)),
                ("window", f"{manifest.max_length:,} tokens"),
                ("parameters", _thousands(manifest.source.get("parameters", ""))),
                ("architecture", manifest.source.get("model_type", "")),
                ("licence", manifest.license),
                ("created", manifest.created),
                ("tools", ", ".join(f"{k} {v}" for k, v in manifest.tools.items())),
            )
            if value
        ]
    return Section("Model card", table=Table("", ["", "value"], rows), detail=True)


def _source(record: Mapping[str, Any]) -> str:
    use = "trained from" if record.get("part") == "base" else "trained on"
    return f"{use}: {record.get('source') or record.get('name') or 'data'}"


def _digest(record: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in record.items() if k not in ("source", "name")}
    return ", ".join(f"{name} {value}" for name, value in rest.items()) or "-"


def _thousands(number: str) -> str:
    return f"{int(number):,}" if number.isdigit() else number


def _points(loss: float | None) -> str:
    return "-" if loss is None else f"{loss * 100:+.2f}"


def _refused(gate: Mapping[str, Any]) -> list[tuple[str, str]]:
    refused = gate.get("refused")
    return [(str(k), str(v)) for k, v in refused.items()] if isinstance(refused, dict) else []


def _mistakes(result: EvaluationResult) -> Section:
    scored = any(mistake.score for mistake in result.mistakes)
    named = any(mistake.truth for mistake in result.mistakes)
    header = [*(["truth"] if named else []), "answer", *(["score"] if scored else []), "input"]
    rows = [
        [
            *([mistake.truth] if named else []),
            mistake.answer,
            *([mistake.score] if scored else []),
            mistake.input,
        ]
        for mistake in result.mistakes
    ]
    return Section(result.evaluation.errors_title, table=Table("", header, rows))


def _headline(result: EvaluationResult) -> str:
    rows = result.report["rows"]
    rate = rows / result.seconds if result.seconds else 0.0
    return (
        f"{result.task}: {result.model} ({result.precision}, {result.device}) on {rows:,} rows of "
        f"{result.data}, {result.seconds:.1f} s ({rate:,.0f} rows/s)"
    )

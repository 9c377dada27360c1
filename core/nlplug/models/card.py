"""The model card of a bundle: a Markdown page with what its manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nlplug.models.manifest import Manifest


def model_card(manifest: Manifest) -> str:
    """The card of a model, with its scores, the quality gate's results, and its data.

    Args:
        manifest: The manifest; its files are not needed.
    """
    return "\n".join(_lines(manifest)).rstrip() + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    yield from (f"# {manifest.name}", "")
    if manifest.description:
        yield from (manifest.description, "")
    facts = {
        "Task": manifest.task,
        "Languages": ", ".join(manifest.languages),
        "Labels": _listed(manifest.labels),
        "Window": f"{manifest.max_length:,} tokens",
        "Exporter": manifest.source.get("exporter", ""),
        "Architecture": manifest.source.get("model_type", ""),
        "Parameters": manifest.source.get("parameters", ""),
        "Licence": manifest.license or "not stated",
        "Created": manifest.created,
    }
    yield from (f"- {name}: {value}" for name, value in facts.items() if value)
    yield ""
    yield from _gate(manifest)
    if manifest.privacy:
        yield from ("## Privacy", "", *privacy_lines(manifest.privacy), "")
    if manifest.data:
        yield from ("## Data", "")
        for record in manifest.data:
            rest = ", ".join(f"{k} {v}" for k, v in record.items() if k != "source" and v)
            yield f"- {record.get('source', 'data')}" + (f": {rest}" if rest else "")
        yield ""
    if manifest.tools:
        tools = ", ".join(f"{name} {version}" for name, version in manifest.tools.items())
        yield from ("## Made with", "", tools, "")


def privacy_lines(privacy: Mapping[str, Any]) -> list[str]:
    """What the differential privacy of a training covers, as two paragraphs with a blank line.

    Args:
        privacy: As in the manifest.
    """
    values = {**privacy, "opacus": privacy.get("opacus", "-")}
    return [
        "Trained with differential privacy (DP-SGD): epsilon = {epsilon:.2f}, delta = {delta:.2g} "
        "for one of {rows:,} training rows, over {steps:,} steps with a sample rate of "
        "{sample_rate:.4g}. Gradients were clipped to a norm of {clip:g}, the noise multiplier is "
        "{noise:.3f}. Accountant: {accountant} of Opacus {opacus}.".format(**values),
        "",
        "This covers the rows that the weights were trained on, each by itself: who is in several "
        "rows is protected less. It does not cover the base, the names of the labels, and the "
        "number of rows; nor the held-out rows, which chose the checkpoint, scaled the scores and "
        "the int8 activations, and gave the scores of this card.",
    ]


def _gate(manifest: Manifest) -> Iterator[str]:
    gate: dict[str, Any] = manifest.metrics.get("gate") or {}
    names = sorted({name for record in manifest.precisions.values() for name in record.metrics})
    shown = [name for name in names if not name.startswith("loss")][:4]
    yield from ("## Quality", "")
    if rows := gate.get("rows"):
        yield from (f"Each precision was compared with PyTorch on {rows}.", "")
    header = ["precision", *shown, "points lost", "95 % interval"]
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    reference: dict[str, float] = manifest.metrics.get("pytorch") or {}
    if reference:
        cells = ["PyTorch", *(_number(reference.get(name)) for name in shown), "", ""]
        yield f"| {' | '.join(cells)} |"
    for name, record in manifest.precisions.items():
        loss, low, high = (_points(record.metrics.get(f"loss{end}")) for end in _ENDS)
        cells = [name, *(_number(record.metrics.get(metric)) for metric in shown)]
        yield f"| {' | '.join([*cells, loss, f'{low} to {high}'])} |"
    yield ""
    for reason in (gate.get("refused") or {}).values():
        yield from (f"Refused: {reason}.", "")


_ENDS = ("", "_low", "_high")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f", … ({len(names):,})" if len(names) > 20 else "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:+.2f}"

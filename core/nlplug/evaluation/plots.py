"""Figures of a report, drawn with the ``matplotlib.pyplot`` of the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_INK = "#1f2937"
_BLUE = "#2563eb"
_GREY = "#9ca3af"
_NUMBERS_UP_TO = 12
_NAMES_UP_TO = 40


def confusion(pyplot: Any, matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    """Confusion matrix: shares of each true label as colour, counts as numbers."""
    counts = np.asarray(matrix, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(1.2 + 0.55 * len(labels), 3.6, 14))
    figure, axes = pyplot.subplots(figsize=(side + 0.8, side), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= _NAMES_UP_TO:
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
        axes.set_yticks(range(len(labels)), labels)
    if len(labels) <= _NUMBERS_UP_TO:
        for row, column in np.ndindex(counts.shape):
            axes.text(
                column,
                row,
                f"{int(counts[row, column]):,}",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.55 else _INK,
            )
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    figure.colorbar(image, ax=axes, label="share of the true label", shrink=0.8)
    return figure


def confused(pyplot: Any, pairs: Sequence[Mapping[str, Any]]) -> Any:
    """Bars of the most confused pairs of labels, if a matrix would be too large."""
    names = [f"{pair['truth']} → {pair['answer']}" for pair in pairs]
    figure, axes = pyplot.subplots(figsize=(7, 0.8 + 0.28 * len(pairs)), layout="constrained")
    bars = axes.barh(names[::-1], [pair["rows"] for pair in pairs][::-1], color=_BLUE)
    axes.bar_label(bars, padding=3, color=_INK)
    axes.margins(x=0.08)
    axes.set_xlabel("rows (truth → answer)")
    return figure


def reliability(pyplot: Any, bins: Sequence[Mapping[str, Any]], ece: float) -> Any:
    """Reliability diagram: accuracy and number of answers by score."""
    filled = [item for item in bins if item["count"]]
    width = bins[0]["high"] - bins[0]["low"]
    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(4.8, 5.2), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    upper.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1, label="calibrated")
    upper.plot(
        [item["confidence"] for item in filled],
        [item["accuracy"] for item in filled],
        color=_BLUE,
        marker="o",
        label=f"this model (ECE {ece:.3f})",
    )
    upper.set_ylabel("share that is right")
    upper.set_ylim(0, 1.02)
    upper.legend(loc="upper left", frameon=False)
    lower.bar(
        [item["low"] for item in bins],
        [item["count"] for item in bins],
        width=width,
        align="edge",
        color=_BLUE,
        alpha=0.6,
    )
    lower.set_ylabel("rows")
    lower.set_xlabel("score of the answer")
    lower.set_xlim(0, 1)
    return figure


def curve(
    pyplot: Any,
    loss: Sequence[tuple[int, float]],
    scores: Sequence[tuple[int, float]],
    metric: str,
    baselines: Mapping[str, float],
) -> Any:
    """Learning curve: training loss above, score on the evaluation rows below, by step.

    Args:
        pyplot: ``matplotlib.pyplot``.
        loss: Steps and losses; may be empty.
        scores: Steps and scores.
        metric: Name of the score.
        baselines: Scores to show as horizontal lines, by name.
    """
    count = 2 if loss else 1
    figure, axes = pyplot.subplots(
        count, 1, figsize=(5.6, 2.6 * count), sharex=True, layout="constrained", squeeze=False
    )
    if loss:
        axes[0][0].plot(*zip(*loss, strict=True), color=_GREY)
        axes[0][0].set_ylabel("training loss")
        axes[0][0].set_ylim(bottom=0)
    lower = axes[-1][0]
    lower.plot(*zip(*scores, strict=True), color=_BLUE, marker="o", markersize=4, label="model")
    for style, (name, value) in zip(("--", ":", "-."), baselines.items(), strict=False):
        lower.axhline(value, color=_GREY, linestyle=style, label=name)
    if baselines:
        lower.legend(frameon=False, loc="best")
    lower.set_ylabel(metric)
    lower.set_xlabel("step")
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    return figure

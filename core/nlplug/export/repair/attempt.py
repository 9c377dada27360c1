"""One form of a precision that an export tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nlplug.evaluation.base import Table

if TYPE_CHECKING:
    from nlplug.export.gate import GateResult
    from nlplug.export.preflight.findings import CheckpointFinding

AS_CONFIGURED = "as configured"


@dataclass(frozen=True)
class Attempt:
    """One form of a precision, and the gate's verdict.

    Attributes:
        precision: ``fp32``, ``fp16``, ``int8``.
        form: What was done; `AS_CONFIGURED` for the first one.
        refused: Why it is refused, or None.
        loss: Loss of the metric; NaN if it was not run.
        agreement: Share of the rows with PyTorch's answer; NaN if it was not run.
        size: Bytes of its graphs.
        row_seconds: Time per row at the gate.
        seconds: Time to build and judge it.
    """

    precision: str
    form: str
    refused: str | None
    loss: float
    agreement: float
    size: int
    row_seconds: float
    seconds: float

    @classmethod
    def of(
        cls, form: str, result: GateResult, *, size: int, judged: float, built: float = 0.0
    ) -> Attempt:
        """From the gate's result.

        Args:
            form: What was done.
            result: The gate's result.
            size: Bytes of the graphs.
            judged: Seconds at the gate.
            built: Seconds to build the graphs.
        """
        same = result.parity.get("identical", result.parity["agreement"])
        return cls(
            precision=result.precision,
            form=form,
            refused=result.refused,
            loss=result.loss.mean,
            agreement=same,
            size=size,
            row_seconds=judged / max(1.0, result.parity["rows"]),
            seconds=built + judged,
        )

    def record(self) -> dict[str, Any]:
        """For the manifest: numbers with four digits; None for numbers that were not measured."""
        values = asdict(self)
        return {
            name: (float(f"{value:.4g}") if value == value else None)
            if isinstance(value, float)
            else value
            for name, value in values.items()
        }


def table_of(attempts: Sequence[Attempt]) -> Table:
    """What was tried, one line per form."""
    header = ["precision", "form", "points lost", "same answer", "size", "ms per row", "verdict"]
    return Table(
        "Forms that were tried",
        header,
        [
            [
                one.precision,
                one.form,
                "-" if one.loss != one.loss else f"{one.loss * 100:+.2f}",
                "-" if one.agreement != one.agreement else f"{one.agreement:.2%}",
                f"{one.size / 1e6:.1f} MB" if one.size else "-",
                f"{one.row_seconds * 1e3:.2f}" if one.row_seconds else "-",
                "refused" if one.refused else "holds",
            ]
            for one in attempts
        ],
    )


def card_section(attempts: Sequence[Attempt], findings: Sequence[CheckpointFinding]) -> str:
    """The part of a model card about the gate, in Markdown."""
    from nlplug.evaluation.document import markdown_table

    lines = ["", "## Quality gate", "", markdown_table(table_of(attempts)), ""]
    lines += [f"- {one.form}: {one.refused}" for one in attempts if one.refused]
    lines += [f"- {one.message}" for one in findings]
    return "\n".join(lines).rstrip() + "\n"

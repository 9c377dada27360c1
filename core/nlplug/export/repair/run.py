"""Trying the forms of a refused precision until one holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.export.decoder.export import save_graph
from nlplug.export.reasons import reason_of
from nlplug.export.repair.attempt import Attempt
from nlplug.export.repair.ladder import Form, RepairClock

if TYPE_CHECKING:
    from nlplug.export.gate import GateResult
    from nlplug.export.repair.sensitive import Sensitive

_log = logging.getLogger(__name__)


def repair(
    precision: str,
    forms: Iterable[Form],
    target: Path,
    judge: Callable[[Path], GateResult],
    clock: RepairClock,
    attempts: list[Attempt],
) -> GateResult | None:
    """Build and judge the forms of a precision; the file then has the last one.

    Args:
        precision: Its name.
        forms: In the order to try them.
        target: The file of its graph.
        judge: Compares a graph with PyTorch.
        clock: No form is started when its time is over.
        attempts: Each form that was tried is added.

    Returns:
        The gate's result of the form that holds; None if none does.
    """
    with clock:
        for form in forms:
            if not clock.in_time():
                attempts.append(_skipped(precision, form, "the time for repairs is over"))
                break
            start = time.monotonic()
            try:
                save_graph(form.build(), target)
                built = time.monotonic() - start
                result = judge(target)
            except Exception as error:  # one form that cannot be built does not stop the others
                _log.info("%s, %s: %s", precision, form.name, reason_of(error))
                attempts.append(_skipped(precision, form, f"cannot be built: {reason_of(error)}"))
                continue
            size = target.stat().st_size
            judged = time.monotonic() - start - built
            attempts.append(Attempt.of(form.name, result, size=size, judged=judged, built=built))
            _log.info("%s, %s: %s", precision, form.name, result.refused or "holds")
            if not result.refused:
                return result
    return None


def unrepaired(
    result: GateResult, attempts: list[Attempt], sensitive: Sequence[Sensitive]
) -> GateResult:
    """A refused result that says what was tried, and which weights lose most."""
    tried = sum(one.precision == result.precision for one in attempts) - 1
    text = f"{result.refused}; {tried} repairs were tried, and none holds"
    if sensitive:
        text += f"; most is lost by {', '.join(one.layer for one in sensitive[:3])}"
    return replace(result, refused=text)


def _skipped(precision: str, form: Form, reason: str) -> Attempt:
    nothing = float("nan")
    return Attempt(precision, form.name, reason, nothing, nothing, 0, 0.0, 0.0)

"""What the preflight of an export finds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nlplug.errors import ExportError, OptionError

CHECKS = ("files", "sizes", "config", "tensors", "tokenizer", "record", "answers")
"""Names of the checks, for ``--allow``."""
_SHOWN = 4


@dataclass(frozen=True)
class CheckpointFinding:
    """One thing that is wrong with a checkpoint, or was mended in the loaded model.

    Attributes:
        check: One of `CHECKS`.
        message: What is wrong: the tensor, file or setting, and its value.
        hint: What to do about it.
        fatal: Whether it stops the export.
        mended: Whether the loaded model was changed so that it no longer matters.
    """

    check: str
    message: str
    hint: str = ""
    fatal: bool = True
    mended: bool = False


def check_allowed(allowed: Collection[str]) -> None:
    """Check the names of checks that must not stop an export.

    Raises:
        OptionError: There is no such check.
    """
    for name in allowed:
        if name not in CHECKS:
            raise OptionError(
                f"There is no check {name!r} to allow.", hint=f"Choose from {', '.join(CHECKS)}."
            )


def stop_if_fatal(
    findings: Sequence[CheckpointFinding], allowed: Collection[str] | None, name: str
) -> None:
    """Stop if something fatal was found that is not allowed.

    Args:
        findings: Everything that was found.
        allowed: Names of checks that must not stop an export; None where nothing is exported.
        name: Name of the checkpoint, for the message.

    Raises:
        ExportError: With all that was found, the first hint, and how to export it anyway.
    """
    fatal = [one for one in findings if one.fatal and one.check not in (allowed or ())]
    if not fatal:
        return
    more = f" There are {len(fatal) - _SHOWN} more findings." if len(fatal) > _SHOWN else ""
    hint = next((one.hint for one in fatal if one.hint), "Correct the checkpoint.")
    told = f"{' '.join(one.message for one in fatal[:_SHOWN])}{more}"
    if allowed is None:
        raise ExportError(f"{name} cannot be used: {told}", hint=hint)
    names = " ".join(f"--allow {check}" for check in dict.fromkeys(one.check for one in fatal))
    raise ExportError(
        f"{name} is not exported: {told}", hint=f"{hint} To export it anyway: {names}."
    )

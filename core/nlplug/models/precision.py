"""Which precision of a bundle answers when the caller leaves it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.runtime.device import parse_device

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

# The order in which a precision is chosen when the caller leaves it open.
_PREFERRED = {
    "cpu": ("int8", "fp32", "fp16", "uint8", "q4"),
    "cuda": ("fp16", "fp32", "int8"),
    "openvino": ("int8", "fp32", "fp16"),
}


def preferred_precision(bundle: Bundle, device: str) -> str:
    """The name of the fastest precision whose quality is known.

    A quantized graph without measured quality, such as one from the Hub, is used only if there is
    no other: such graphs may be much less accurate.
    """
    asked = parse_device(device)
    # Without it the CPU answers.
    kind = asked.kind if asked.present else "cpu"
    names = [name for name in _PREFERRED[kind] if name in bundle.precisions]
    trusted = [name for name in names if is_trusted(bundle, name)]
    return next(iter([*trusted, *names, *bundle.precisions]), "fp32")


def is_trusted(bundle: Bundle, precision: str) -> bool:
    """Whether the quality of a precision is known: floating point, or measured by the gate."""
    return precision.startswith("fp") or _measured(bundle, precision)


def _measured(bundle: Bundle, precision: str) -> bool:
    """Whether the quality gate compared this precision with PyTorch."""
    record = bundle.manifest.precisions.get(precision) if bundle.manifest else None
    return record is not None and bool(record.parity or record.metrics)

"""What `nlplug.evaluation.tune` found to be fastest for a model on this machine.

The records lie in the folder ``tuned`` of the cache, not in the model: another machine has other
fastest settings.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nlplug.models.atomic import write_text
from nlplug.models.precision import preferred_precision
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.device import onnxruntime
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

_CPU_FACTS = ("model name", "flags", "Features")


@dataclass(frozen=True)
class Tuned:
    """The fastest settings.

    Attributes:
        precision: A precision of the model.
        device: A name of a device.
        token_budget: Tokens per batch; None for the default.
        rate: Rows per second with these settings.
        ratio: Speed as a multiple of that of the usual settings.
    """

    precision: str
    device: str
    token_budget: int | None
    rate: float
    ratio: float


def tuned_for(bundle: Bundle) -> Tuned | None:
    """The record of a model; None if there is none for these files on this machine."""
    folder = _folder()
    if not folder.is_dir():
        return None
    try:
        found = json.loads((folder / _name(bundle)).read_text("utf-8"))
        tuned = Tuned(**found)
    except (OSError, ValueError, TypeError):  # a record that cannot be read is as none
        return None
    return tuned if tuned.precision in bundle.precisions else None


def precision_and_device(bundle: Bundle, precision: str, device: str) -> tuple[str, str]:
    """What a model runs in and on where ``auto`` leaves it open.

    Args:
        bundle: The model.
        precision: A precision of the model, or ``auto``.
        device: A device, or ``auto``.
    """
    tuned = tuned_for(bundle) if precision == device == "auto" else None
    if tuned is not None:
        return tuned.precision, tuned.device
    if precision == "auto":
        precision = preferred_precision(bundle, device)
    return precision, device


def remember(bundle: Bundle, tuned: Tuned) -> Path:
    """Write the record of a model; returns its file."""
    path = _folder() / _name(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(tuned), indent=2))
    return path


def forget(bundle: Bundle) -> bool:
    """Remove the record of a model; returns whether there was one."""
    path = _folder() / _name(bundle)
    there = path.is_file()
    path.unlink(missing_ok=True)
    return there


def _folder() -> Path:
    return load_settings().cache_dir / "tuned"


def _name(bundle: Bundle) -> str:
    """The name of the record: another one for other files, processors or versions."""
    files = {
        name: [path.stat().st_size, path.stat().st_mtime_ns]
        for name, path in sorted(bundle.precisions.items())
    }
    ort = onnxruntime()
    facts = [
        str(bundle.path.resolve()),
        files,
        _processor(),
        usable_cpus(),
        ort.__version__,
        ort.get_available_providers(),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32] + ".json"


def _processor() -> list[str]:
    """The processor and its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return [platform.machine(), platform.processor()]
    return [line for line in lines if line.split("\t")[0].strip() in _CPU_FACTS]

"""The NVIDIA GPUs of this machine, found without PyTorch, which takes seconds to import."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_SECONDS = 10


@dataclass(frozen=True)
class Gpus:
    """GPUs, and whether training uses one of them.

    Attributes:
        names: Name of each GPU.
        used: Whether the installed PyTorch is built for GPUs.
    """

    names: tuple[str, ...]
    used: bool


@cache
def gpus() -> Gpus:
    """The GPUs that the driver's ``nvidia-smi`` lists; none if it is not installed or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Gpus((), False)
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return Gpus((), False)
    names = done.stdout.splitlines() if done.returncode == 0 else []
    return Gpus(tuple(name.strip() for name in names if name.strip()), _torch_uses_gpus())


def _torch_uses_gpus() -> bool:
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False

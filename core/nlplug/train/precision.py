"""Whether a run trains in bfloat16, where the settings leave it open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from nlplug.train.processes import is_alone

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig

Settings = TypeVar("Settings", bound="TrainConfig")

_CPU = Path("/proc/cpuinfo")
_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16"})
"""Flags of CPUs on which a step in bfloat16 takes less than half of the time."""


def with_precision(config: Settings) -> Settings:
    """The settings, with bfloat16 if they do not say otherwise and this CPU is made for it.

    Args:
        config: The settings. A run on a GPU, or of several processes, stays as it is.
    """
    on_gpu = config.device != "cpu" and torch.cuda.is_available()
    if "bf16" in config.model_fields_set or on_gpu or not is_alone():
        return config
    return config.model_copy(update={"bf16": has_bfloat16()})


def has_bfloat16(cpu: Path = _CPU) -> bool:
    """Whether a CPU has instructions for products of bfloat16 matrices.

    What it has is read and not measured: a resumed run must decide as the first one did, also where
    other programs disturb a measurement.

    Args:
        cpu: What Linux says of it; on other systems there is no such file, and the answer is no.
    """
    return cpu.is_file() and not _INSTRUCTIONS.isdisjoint(cpu.read_text("utf-8").split())

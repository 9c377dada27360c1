"""Whether a run trains in bfloat16, where the settings leave it open."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import torch

from nlplug.train.processes import is_alone

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig

Settings = TypeVar("Settings", bound="TrainConfig")

_GAIN = 2.0
"""Least ratio of the speeds: about 4 with instructions for bfloat16, and below 1 without."""
_SIZE = 384
_REPEATS = 5


def with_precision(config: Settings) -> Settings:
    """The settings, with bfloat16 if they do not say otherwise and this CPU is made for it.

    Args:
        config: The settings. A run on a GPU, or of several processes, stays as it is.
    """
    on_gpu = config.device != "cpu" and torch.cuda.is_available()
    if "bf16" in config.model_fields_set or on_gpu or not is_alone():
        return config
    return config.model_copy(update={"bf16": _is_fast()})


@cache
def _is_fast() -> bool:
    """Whether this CPU is made for bfloat16; measured once, so that all runs here do the same."""
    return _seconds(torch.float32) >= _GAIN * _seconds(torch.bfloat16)


def _seconds(kind: torch.dtype) -> float:
    """CPU seconds of a matrix product; the shortest of some, because other programs run."""
    matrix = torch.ones(_SIZE, _SIZE, dtype=kind)
    fastest = float("inf")
    for _ in range(_REPEATS):
        start = time.process_time()
        matrix @ matrix
        fastest = min(fastest, time.process_time() - start)
    return fastest

"""How much of the machine other processes used while a contender ran, from ``/proc``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

_LONGEST = 20.0
"""Seconds to wait for a quiet moment before a measurement is tried again."""
_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
}
"""Instruction sets by their name in ``/proc/cpuinfo``."""
_TICK = os.sysconf("SC_CLK_TCK")
_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Usage:
    """CPU seconds at one moment: of the whole machine, with the wall-clock time."""

    wall: float
    busy: float


def usage() -> Usage:
    """The machine's CPU time now; steal counts as busy, for it is time that a contender lost."""
    wall = time.perf_counter()
    if not _STAT.exists():
        return Usage(wall, 0.0)
    fields = [int(part) for part in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return Usage(wall, (user + nice + system + irq + softirq + steal) / _TICK)


def own_cpu() -> float:
    """CPU seconds of this process, all threads."""
    times = os.times()
    return times.user + times.system


def foreign_share(before: Usage, after: Usage, own: float) -> float:
    """The share of all CPUs that went to neither the contender nor this process, 0 to 1."""
    wall = max(after.wall - before.wall, 1e-9)
    if not _STAT.exists():
        return 0.0
    foreign = max(0.0, after.busy - before.busy - own)
    return foreign / (wall * (os.cpu_count() or 1))


class Patience:
    """The time that a run may spend on waiting for quiet moments and on measuring again.

    On a machine that is never quiet, a run takes this much longer, and not more.

    Args:
        seconds: Of the whole run.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def cleanest(
        self, measure: Callable[[], tuple[Value, float]], limit: float
    ) -> tuple[Value, float]:
        """A measurement and the share of the CPUs that others used; again while that is too high.

        Args:
            measure: Measures once, and returns the value and the share.
            limit: The highest share that needs no further try.
        """
        best = measure()
        while best[1] > limit and self._left > 0:
            started = time.perf_counter()
            _wait_until_quiet(limit, min(self._left, _LONGEST))
            best = min(best, measure(), key=lambda found: found[1])
            self._left -= time.perf_counter() - started
        return best


def _wait_until_quiet(limit: float, seconds: float) -> None:
    """Wait until others use less than ``limit`` of the machine for half a second."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        before, own = usage(), own_cpu()
        time.sleep(0.5)
        if foreign_share(before, usage(), own_cpu() - own) < limit:
            return


def cpu_facts() -> tuple[str, int, list[str]]:
    """The processor's name, the number of CPUs, and the instruction sets that kernels use."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    facts = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    flags = facts.get("flags", "").split()
    sets = [title for flag, title in _SETS.items() if flag in flags]
    return facts.get("model name", "unknown CPU"), os.cpu_count() or 1, sets

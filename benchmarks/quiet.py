"""How much of the machine other processes used while a contender ran, from ``/proc``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

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


def wait_until_quiet(limit: float, patience: float) -> bool:
    """Wait until others use less than ``limit`` of the machine for half a second.

    Args:
        limit: Share of all CPUs.
        patience: Seconds after which to give up.
    """
    deadline = time.perf_counter() + patience
    while True:
        before, own = usage(), own_cpu()
        time.sleep(0.5)
        if foreign_share(before, usage(), own_cpu() - own) < limit:
            return True
        if time.perf_counter() > deadline:
            return False


def cpu_name() -> tuple[str, int]:
    """The processor's name as the kernel gives it, and how many CPUs there are."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown CPU", os.cpu_count() or 1

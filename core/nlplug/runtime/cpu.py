"""How many CPUs this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """The CPUs that the process may use: the smaller of its affinity and its cgroup's quota.

    In a container with a quota of two CPUs on a 64-core host, ``os.cpu_count()`` says 64, and a
    session with 64 threads runs many times slower than one with two.

    Args:
        cgroup: The folder the cgroup file system is mounted at.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(cpus, math.ceil(quota))) if quota else max(1, cpus)


def _quota(cgroup: Path) -> float | None:
    """CPUs allowed by cgroup v2 (``cpu.max``) or v1 (``cpu.cfs_quota_us``), None if unlimited."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        v1 = cgroup / "cpu"
        limit = int((v1 / "cpu.cfs_quota_us").read_text())
        period_us = int((v1 / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit / period_us if limit > 0 and period_us > 0 else None

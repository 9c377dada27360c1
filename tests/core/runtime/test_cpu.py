"""The number of threads follows what the process may use, not what the host has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nlplug.runtime.cpu import usable_cpus

MANY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == MANY


@pytest.mark.parametrize(("text", "cpus"), [("max 100000", MANY), ("100000 100000", 1)])
def test_a_cgroup_v2_quota_limits(tmp_path: Path, text: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cpus(tmp_path) == cpus


def test_half_a_cpu_still_gives_one_thread(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000")
    assert usable_cpus(tmp_path) == 1


@pytest.mark.parametrize(("quota", "cpus"), [("100000", 1), ("-1", MANY)])
def test_a_cgroup_v1_quota_limits(tmp_path: Path, quota: str, cpus: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no CPU affinity")
def test_a_process_bound_to_one_cpu_uses_one(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)

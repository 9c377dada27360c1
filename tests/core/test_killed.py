"""Whenever a command is killed: its target is whole or as before, and it can be run again.

Bundles have a test of this kind in ``models/test_writer.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from killed_kit import SCENARIOS, killed_everywhere

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_killed_command_loses_nothing_and_can_be_run_again(scenario: str, tmp_path: Path) -> None:
    found = killed_everywhere(scenario, tmp_path / "work")
    before = "old" if scenario.endswith("again") else "nothing"
    assert len(found) > 3, "killed before every step that changes the disk"
    order = [one.state for one in found]
    assert order == [before] * order.count(before) + ["new"] * order.count("new")
    assert order[0] == before
    assert order[-1] == "new"
    for one in found:
        assert one.again == "new", "the command works again"
        assert len(one.left) == 1, "and cleans up"

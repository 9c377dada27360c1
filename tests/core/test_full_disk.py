"""What is written to a full disk is there whole or as it was before, and the error says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from killed_kit import SCENARIOS
from small_disk_kit import small_disk

from nlplug.errors import DiskFull, OptionError, explained
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier
from nlplug.workspace.datasets import DataSet
from nlplug.workspace.folder import WorkspaceFolder

STEP = 4096


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_full_disk_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny_text_classifier(tmp_path / "bundle")
    monkeypatch.setattr("killed_kit._bundle", lambda: Bundle.open(bundle.path))
    scenario = SCENARIOS[name]
    before = "old" if name.endswith("again") else "nothing"
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        (disk.folder / "work").mkdir()
        scenario.prepare(disk.folder / "work")
        there = sorted((disk.folder / "work").iterdir())
        left = failures = 0
        while True:
            disk.leave(left)
            try:
                scenario.write(disk.folder / "work")
            except Exception as error:
                told = explained(error) or error
                assert isinstance(told, DiskFull), repr(error)
                assert scenario.state(disk.folder / "work") == before
                assert sorted((disk.folder / "work").iterdir()) == there
                failures += 1
                left += STEP
            else:
                break
        assert failures
        assert scenario.state(disk.folder / "work") == "new"


def test_a_data_set_takes_all_rows_or_none(tmp_path: Path) -> None:
    from nlplug import PluginHost
    from nlplug.data.formats import DataFile
    from nlplug.workspace.datasets import corrections_of

    source = tmp_path / "rows.jsonl"
    # Rows with an answer, then those without, which are written to another file.
    source.write_text(
        '{"text": "a good film", "label": "positive"}\n' * 400 + '{"text": "a film"}\n' * 400
    )
    task = PluginHost.discover().task("sentiment")
    with small_disk(tmp_path / "disk", megabytes=2) as disk:
        space = WorkspaceFolder.open(disk.folder / "space", create=True)
        data = DataSet.create(space, "films", task)
        left = failures = 0
        while True:
            disk.leave(left)
            try:
                data.take(DataFile(source), corrections_of(task))
            except Exception as error:
                told = explained(error) or error
                assert isinstance(told, DiskFull), repr(error)
                assert (data.count("rows"), data.count("unlabelled")) == (0, 0)
                assert len(list(data.folder.iterdir())) == 3
                failures += 1
                left += STEP
            else:
                break
        assert failures > 3
        assert (data.count("rows"), data.count("unlabelled")) == (400, 400)


def test_a_workspace_that_has_no_room_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        disk.leave(0)
        with pytest.raises((DiskFull, OptionError), match="No space left"):
            WorkspaceFolder.open(disk.folder / "space", create=True)
        disk.leave(STEP)
        assert WorkspaceFolder.open(disk.folder / "space", create=True)

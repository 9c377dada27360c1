"""The page of a training run in each state, and addresses that name nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from webui_kit import Visitor, web_server

from nlplug import PluginHost
from nlplug.models.atomic import lock
from nlplug.workspace import DataSet, WorkspaceFolder
from nlplug.workspace.datasets import digest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

# Holds the lock of its run until it is asked twice to end, as a run that saves a checkpoint.
SLOW = """
import signal, sys
asked = []
signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
print("ready", flush=True)
while len(asked) < 2:
    signal.pause()
sys.exit(143)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    workspace = WorkspaceFolder.open(tmp_path_factory.mktemp("w") / "work", create=True)
    task = PluginHost.discover().task("sentiment")
    data = DataSet.create(workspace, "film", task)
    data.add([{"text": f"good {n}", "label": "positive"} for n in range(60)])
    return workspace


@pytest.fixture(scope="module")
def guest(browser: Browser, workspace: WorkspaceFolder) -> Iterator[Visitor]:
    words = ("--workspace", str(workspace.path), "--task", "sentiment")
    with web_server(*words, environment={"NLPLUG_OFFLINE": "1"}) as address:
        yield Visitor(browser, address)


@pytest.fixture
def visitor(guest: Visitor) -> Iterator[Visitor]:
    with guest.visit() as visitor:
        yield visitor


def made(workspace: WorkspaceFolder, name: str, code: int | None = None) -> Path:
    """The folder of a run as `TrainingRun.start` leaves it, and one that has ended with a code."""
    folder = workspace.place("runs", name)
    folder.mkdir()
    record = {"task": "sentiment", "dataset": "film", "created": 1, "command": ["train", "x"]}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "log.txt").write_text("$ nlplug train x\n")
    (folder / "lock").touch()
    if code is not None:
        (folder / "ended.json").write_text(json.dumps({"code": code}))
    return folder


@contextmanager
def at_work(folder: Path) -> Iterator[subprocess.Popen[str]]:
    held = lock(folder / "lock")
    with held:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW],
            pass_fds=[held.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdout
        process.stdout.readline()
        (folder / "pid").write_text(str(process.pid))
        try:
            yield process
        finally:
            process.kill()


def test_a_run_that_stops_says_so_and_is_not_ended_by_a_second_click(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    with at_work(made(workspace, "slow")) as process:
        page = visitor.open("workspace#/run/slow")
        page.locator("#np-run-stop").dblclick()
        page.locator('.np-w-state[data-state="stopping"]').wait_for()
        assert page.locator("#np-run-stop").count() == 0
        page.reload()
        page.locator('.np-w-state[data-state="stopping"]').wait_for()
        assert process.poll() is None
        page.locator("#np-run-stop-now").click()
        page.locator('.np-w-state[data-state="stopped"]').wait_for()
        page.locator("#np-run-resume").wait_for()


def test_what_a_button_tells_stays_while_the_page_looks_again(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    with at_work(made(workspace, "busy")):
        made(workspace, "ended", code=1)
        page = visitor.open("workspace#/run/ended")
        page.locator("#np-run-resume").click()
        told = page.locator(".np-error", has_text="'busy' is still running")
        told.wait_for()
        with page.expect_response("**/runs/ended"):
            pass
        with page.expect_response("**/runs/ended"):
            pass
        assert told.is_visible()
        assert page.locator("small", has_text="The log says why").is_visible()


def test_an_address_that_names_nothing_says_so(visitor: Visitor) -> None:
    for kind, told in (("run", "no training run"), ("data", "no data set"), ("train", "no data")):
        page = visitor.open(f"workspace#/{kind}/nothing")
        page.locator(".np-error", has_text=told).wait_for()
        assert page.locator(".np-w-page .np-card").count() == 0
        page.locator(".np-w-page a", has_text="Workspace").click()
        page.locator(".np-w-item").first.wait_for()


def test_the_title_names_what_is_open(visitor: Visitor) -> None:
    page = visitor.open("workspace#/data/film")
    page.wait_for_function("() => document.title === 'film · Workspace · nlplug'")
    page.evaluate("location.hash = '#/'")
    page.wait_for_function("() => document.title === 'Workspace · nlplug'")


def test_the_focus_returns_to_a_row_that_was_edited(visitor: Visitor) -> None:
    page = visitor.open("workspace#/data/film")
    edit = page.locator(".np-w-rows button", has_text="Edit").nth(3)
    edit.focus()
    page.keyboard.press("Enter")
    page.locator(".np-w-rows .np-w-correct").press("Escape")
    page.wait_for_function(
        "() => document.activeElement === document.querySelectorAll('.np-w-rows tr')[3]"
        ".querySelector('td:last-child > button')"
    )


def test_an_error_far_from_its_button_is_scrolled_to(
    visitor: Visitor, workspace: WorkspaceFolder
) -> None:
    page = visitor.open("workspace#/data/film")
    page.locator(".np-w-rows button", has_text="Edit").nth(40).click()
    data = DataSet.open(workspace, "film")
    row = data.rows("rows")[40].values
    data.replace(40, digest(row), {**row, "label": "negative"})  # elsewhere
    page.locator(".np-w-rows button", has_text="Save").click()
    told = page.locator(".np-error", has_text="has changed")
    told.wait_for()
    page.wait_for_function("() => scrollY < 400")
    box = told.bounding_box()
    assert box
    assert -1 < box["y"] < 900

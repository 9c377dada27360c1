"""Batches that belong to the server: found again, waiting for a place, and forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from nlplug_webui import batch_runs
from nlplug_webui.batch_runs import BatchRun, BatchRuns

WAIT = 30


def watched(run: BatchRun) -> list[object]:
    async def every() -> list[object]:
        return [shown async for shown in run.watch()]

    return asyncio.run(asyncio.wait_for(every(), WAIT))


def gated(gate: threading.Event) -> Callable[[BatchRun], Iterator[str]]:
    """Work that shows that it began, and ends once a gate is open."""

    def work(run: BatchRun) -> Iterator[str]:
        (run.folder / "rows.csv").write_text("done")
        yield "begun"
        gate.wait(WAIT)
        yield "over" if run.over else "done"

    return work


def begun(run: BatchRun) -> bool:
    for _ in range(WAIT * 100):
        if run.shown == "begun":
            return True
        threading.Event().wait(0.01)
    return False


def test_a_run_is_found_again_with_what_it_shows() -> None:
    runs, gate = BatchRuns(), threading.Event()
    run = runs.start(gated(gate), "waiting")
    assert begun(run)
    found = runs.find(run.id)
    assert found is run and runs.find("another") is None
    gate.set()
    assert watched(found)[-1] == "done"
    assert watched(found) == ["done"]  # also after its end


def test_a_run_learns_that_it_is_stopped() -> None:
    runs, gate = BatchRuns(), threading.Event()
    run = runs.start(gated(gate), "waiting")
    run.stopping = True
    gate.set()
    assert watched(run)[-1] == "over"


def test_a_run_that_nobody_looks_at_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, gate = BatchRuns(), threading.Event()
    run = runs.start(gated(gate), "waiting")
    assert not run.over
    monkeypatch.setattr(batch_runs, "_ALONE_SECONDS", 0.0)
    assert run.over
    gate.set()


def test_a_third_run_waits_for_a_place() -> None:
    runs, gate = BatchRuns(), threading.Event()
    first = [runs.start(gated(gate), "waiting") for _ in range(2)]
    assert all(map(begun, first))
    third = runs.start(gated(threading.Event()), "waiting")
    third.stopping = True
    for _ in range(WAIT * 100):
        if third.shown is not None:
            break
        threading.Event().wait(0.01)
    assert third.shown == "waiting"
    gate.set()
    assert begun(third)


def test_the_files_of_old_runs_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runs, "_KEPT", 1)
    gate = threading.Event()
    gate.set()
    runs = BatchRuns()
    old, new = (runs.start(gated(gate), "waiting") for _ in range(2))
    watched(old), watched(new)
    last = runs.start(gated(gate), "waiting")
    assert runs.find(old.id) is None and not old.folder.exists()
    assert runs.find(new.id) is new and (new.folder / "rows.csv").exists()
    watched(last)

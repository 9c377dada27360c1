"""Batches that belong to the server: found again, waiting for a place, and forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from nlplug import PluginHost
from nlplug.server.pool import ModelPool
from nlplug_webui import batch_runs
from nlplug_webui.batch_runs import BatchRun, BatchRuns, runs_of

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
    run = runs.start(gated(gate), "waiting", "full")
    assert begun(run)
    found = runs.find(run.id)
    assert found is run and runs.find("another") is None
    gate.set()
    assert watched(found)[-1] == "done"
    assert watched(found) == ["done"]  # also after its end


def test_a_run_learns_that_it_is_stopped() -> None:
    runs, gate = BatchRuns(), threading.Event()
    run = runs.start(gated(gate), "waiting", "full")
    run.stopping = True
    gate.set()
    assert watched(run)[-1] == "over"


def test_a_run_that_nobody_looks_at_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, gate = BatchRuns(), threading.Event()
    run = runs.start(gated(gate), "waiting", "full")
    assert not run.over
    monkeypatch.setattr(batch_runs, "_ALONE_SECONDS", 0.0)
    assert run.over
    gate.set()


def test_a_third_run_waits_for_a_place() -> None:
    runs, gate = BatchRuns(), threading.Event()
    first = [runs.start(gated(gate), "waiting", "full") for _ in range(2)]
    assert all(map(begun, first))
    third = runs.start(gated(threading.Event()), "waiting", "full")
    third.stopping = True
    for _ in range(WAIT * 100):
        if third.shown is not None:
            break
        threading.Event().wait(0.01)
    assert third.shown == "waiting"
    gate.set()
    assert begun(third)


def test_the_queue_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runs, "WAITING", 1)
    runs, gate = BatchRuns(), threading.Event()
    two = [runs.start(gated(gate), "waiting", "full") for _ in range(2)]
    assert all(map(begun, two))
    threads = threading.active_count()
    third = runs.start(gated(gate), "waiting", "full")
    fourth = runs.start(gated(gate), "waiting", "full")
    assert watched(fourth) == ["full"]
    assert third.shown == "waiting"
    assert threading.active_count() == threads, "a batch that waits has no thread"
    third.stopping = True
    fifth = runs.start(gated(gate), "waiting", "full")  # takes its place
    assert watched(third) == ["waiting"]
    gate.set()
    assert watched(fifth)[-1] == "done"


def test_all_pages_of_a_server_share_a_queue() -> None:
    one, two = ModelPool(PluginHost.discover()), ModelPool(PluginHost.discover())
    assert runs_of(one) is runs_of(one)
    assert runs_of(one) is not runs_of(two)


def test_the_files_of_old_runs_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runs, "_KEPT", 1)
    gate = threading.Event()
    gate.set()
    runs = BatchRuns()
    old, new = (runs.start(gated(gate), "waiting", "full") for _ in range(2))
    watched(old), watched(new)
    last = runs.start(gated(gate), "waiting", "full")
    assert runs.find(old.id) is None and not old.folder.exists()
    assert runs.find(new.id) is new and (new.folder / "rows.csv").exists()
    watched(last)

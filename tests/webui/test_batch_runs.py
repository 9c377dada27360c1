"""Batches that belong to the server: found again, waiting for a place, and forgotten."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nlplug import PluginHost
from nlplug.server.pool import ModelPool
from nlplug_webui import batch_runs, batch_store
from nlplug_webui.batch_runs import BatchRun, BatchRuns, runs_of
from nlplug_webui.batch_store import BatchResult, BatchStore
from nlplug_webui.workshop.batches import Batches

WAIT = 30
WAITING, FULL = BatchResult("waiting"), BatchResult("full")


@pytest.fixture
def store(tmp_path: Path) -> BatchStore:
    return BatchStore(tmp_path / "batches")


@pytest.fixture
def runs(store: BatchStore) -> BatchRuns:
    return BatchRuns(store)


def watched(run: BatchRun) -> list[str]:
    async def every() -> list[str]:
        return [result.shown async for result in run.watch()]

    return asyncio.run(asyncio.wait_for(every(), WAIT))


def gated(gate: threading.Event) -> Callable[[BatchRun], Iterator[BatchResult]]:
    """Work that shows that it began, and leaves a file once a gate is open or it is stopped."""

    def work(run: BatchRun) -> Iterator[BatchResult]:
        (run.begin() / "rows.csv").write_text("done")
        yield BatchResult("begun")
        while not gate.wait(0.01) and not run.stopping:
            pass
        shown = "over" if run.over else "done"
        yield run.keep(BatchResult(shown, {"csv": "rows.csv"}, "given.txt"))

    return work


def begun(run: BatchRun) -> bool:
    for _ in range(WAIT * 100):
        if run.shown is not None and run.shown.shown == "begun":
            return True
        threading.Event().wait(0.01)
    return False


def test_a_run_is_found_again_with_what_it_shows(runs: BatchRuns) -> None:
    gate = threading.Event()
    run = runs.start(gated(gate), WAITING, FULL)
    assert begun(run)
    found = runs.find(run.id)
    assert found is run and runs.find("another") is None
    gate.set()
    assert watched(found)[-1] == "done"
    after = runs.find(run.id)
    assert after is not None and watched(after) == ["done"]


def test_a_run_that_failed_is_not_listed_as_one_that_is_being_processed(runs: BatchRuns) -> None:
    def failing(run: BatchRun) -> Iterator[BatchResult]:
        run.begin()
        yield BatchResult("begun")
        yield BatchResult("the file cannot be read")

    gate = threading.Event()
    going = runs.start(gated(gate), WAITING, FULL)
    failed = runs.start(failing, WAITING, FULL)
    assert watched(failed)[-1] == "the file cannot be read"
    listed = Batches(runs).known(ids=f"{going.id},{failed.id}")
    assert listed == {"found": [{"id": going.id, "source": None, "ended": None}]}
    gate.set()
    assert watched(going)[-1] == "done"
    again = runs.find(failed.id)  # its page, loaded again, shows why
    assert again is not None and watched(again) == ["the file cannot be read"]


def test_a_run_learns_that_it_is_stopped(runs: BatchRuns) -> None:
    gate = threading.Event()
    run = runs.start(gated(gate), WAITING, FULL)
    run.stopping = True
    gate.set()
    assert watched(run)[-1] == "over"


def test_a_run_that_nobody_looks_at_ends(runs: BatchRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    run = runs.start(gated(gate), WAITING, FULL)
    assert not run.over
    monkeypatch.setattr(batch_runs, "_ALONE_SECONDS", 0.0)
    assert run.over
    gate.set()


def test_a_third_run_waits_for_a_place(runs: BatchRuns) -> None:
    gate = threading.Event()
    first = [runs.start(gated(gate), WAITING, FULL) for _ in range(2)]
    assert all(map(begun, first))
    third = runs.start(gated(threading.Event()), WAITING, FULL)
    third.stopping = True
    for _ in range(WAIT * 100):
        if third.shown is not None:
            break
        threading.Event().wait(0.01)
    assert third.shown == WAITING
    gate.set()
    assert begun(third)


def test_the_queue_has_an_end(runs: BatchRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runs, "WAITING", 1)
    gate = threading.Event()
    two = [runs.start(gated(gate), WAITING, FULL) for _ in range(2)]
    assert all(map(begun, two))
    threads = threading.active_count()
    third = runs.start(gated(gate), WAITING, FULL)
    fourth = runs.start(gated(gate), WAITING, FULL)
    assert watched(fourth) == ["full"]
    assert third.shown == WAITING
    assert threading.active_count() == threads, "a batch that waits has no thread"
    third.stopping = True
    fifth = runs.start(gated(gate), WAITING, FULL)  # takes its place
    assert watched(third) == ["waiting"]
    gate.set()
    assert watched(fifth)[-1] == "done"


def test_all_pages_of_a_server_share_a_queue() -> None:
    one, two = ModelPool(PluginHost.discover()), ModelPool(PluginHost.discover())
    assert runs_of(one) is runs_of(one)
    assert runs_of(one) is not runs_of(two)


def test_results_outlast_the_server(runs: BatchRuns, store: BatchStore) -> None:
    gate = threading.Event()
    gate.set()
    run = runs.start(gated(gate), WAITING, FULL)
    watched(run)
    another = BatchRuns(store)  # the server that is started next
    found = another.find(run.id)
    assert found is not None and watched(found) == ["done"]
    path = another.store.file(run.id, "csv")
    assert path is not None and path.read_text() == "done"
    assert another.store.file(run.id, "xlsx") is None


def test_a_server_that_ends_keeps_what_is_done(runs: BatchRuns, store: BatchStore) -> None:
    run = runs.start(gated(threading.Event()), WAITING, FULL)
    assert begun(run)
    runs.close()
    found = BatchRuns(store).find(run.id)
    assert found is not None and watched(found) == ["over"]


def test_a_batch_without_a_result_leaves_nothing(runs: BatchRuns, store: BatchStore) -> None:
    def fails(run: BatchRun) -> Iterator[BatchResult]:
        run.begin()
        yield BatchResult("the reason")

    run = runs.start(fails, WAITING, FULL)
    assert watched(run)[-1] == "the reason"
    assert not store.folder(run.id).exists()
    found = runs.find(run.id)  # a page that is loaded again shows the reason
    assert found is not None and watched(found) == ["the reason"]


def test_deleted_results_are_gone(runs: BatchRuns, store: BatchStore) -> None:
    gate = threading.Event()
    gate.set()
    run = runs.start(gated(gate), WAITING, FULL)
    watched(run)
    store.delete(run.id)
    assert runs.find(run.id) is None and not store.folder(run.id).exists()
    store.delete("..")  # no name of a batch
    assert store.folder("").exists()


def test_results_that_nobody_opens_are_deleted(store: BatchStore) -> None:
    def kept(days: float) -> str:
        id = batch_store.new_id()
        store.begin(id)
        store.keep(id, BatchResult("done"))
        opened = time.time() - days * batch_store.KEPT_SECONDS
        os.utime(store.folder(id) / "result.json", (opened, opened))
        return id

    old, fresh, running = kept(1.1), kept(0.9), kept(2)
    killed = batch_store.new_id()  # a server was killed before its end
    store.begin(killed)
    os.utime(store.folder(killed), (0, 0))
    store.tidy({running})
    left = [store.find(id) is not None for id in (old, fresh, running)]
    assert left == [False, True, True]
    assert not store.folder(killed).exists()


def test_the_oldest_of_too_many_results_are_deleted(
    store: BatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_store, "KEPT", 1)
    ids = [batch_store.new_id() for _ in range(2)]
    for hours, id in enumerate(ids):
        store.begin(id)
        store.keep(id, BatchResult("done"))
        opened = time.time() - 3600 * hours
        os.utime(store.folder(id) / "result.json", (opened, opened))
    store.tidy(())
    assert [store.find(id) is not None for id in ids] == [True, False]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_results_are_readable_by_the_user_only(store: BatchStore) -> None:
    id = batch_store.new_id()
    store.begin(id)
    assert store.folder(id).stat().st_mode & 0o077 == 0

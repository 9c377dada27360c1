"""The queue of one model: what is answered together, in which order, and what is refused."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any
from weakref import ref

import pytest
from server_kit import WAIT, Gate

from nlplug import Pipeline, TaskInput
from nlplug.errors import BundleCorrupt, InputError, Overloaded, QueueTooLong
from nlplug.server.batching import Batcher
from nlplug.server.metrics import Metrics


@pytest.fixture
def batcher(gated: Pipeline, gate: Gate) -> Iterator[Batcher]:
    batcher = Batcher("m", lambda: gated, max_batch=4, max_queue=3, metrics=Metrics())
    yield batcher
    gate.opened.set()
    batcher.close()


def texts(pipe: Pipeline, *words: str) -> list[TaskInput]:
    return [pipe.definition.Input(text=word) for word in words]  # type: ignore[call-arg]


def labels(answers: list[Any]) -> list[str]:
    return [answer[0]["label"] for answer in answers]


def hold(batcher: Batcher, pipe: Pipeline, gate: Gate) -> None:
    """Keep the thread busy with a first batch, so that what follows queues up."""
    batcher.submit(texts(pipe, "first"), {})
    assert gate.entered.wait(WAIT)


def test_a_lone_request_is_answered_at_once(batcher: Batcher, gated: Pipeline, gate: Gate) -> None:
    gate.opened.set()
    future = batcher.submit(texts(gated, "good", "bad"), {})
    assert labels(future.result(WAIT)) == ["positive", "negative"]
    assert gate.batches == [["good", "bad"]]


def test_what_queues_up_during_a_batch_is_answered_in_one(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    futures = [batcher.submit(texts(gated, word), {}) for word in ("good", "bad", "dull")]
    gate.opened.set()
    found = [labels(future.result(WAIT)) for future in futures]
    assert found == [["positive"], ["negative"], ["negative"]]
    assert gate.batches == [["first"], ["good", "bad", "dull"]]


def test_requests_with_other_options_are_never_mixed(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    one = batcher.submit(texts(gated, "good"), {"top_k": 1})
    two = batcher.submit(texts(gated, "good"), {"top_k": 2})
    three = batcher.submit(texts(gated, "bad"), {"top_k": 1})
    gate.opened.set()
    assert [len(future.result(WAIT)[0]) for future in (one, two, three)] == [1, 2, 1]
    assert gate.batches[1:] == [["good", "bad"], ["good"]]


def test_a_large_request_takes_turns_with_small_ones(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    large = batcher.submit(texts(gated, *["good"] * 6), {})
    small = batcher.submit(texts(gated, "bad"), {})
    gate.opened.set()
    assert labels(large.result(WAIT)) == ["positive"] * 6
    assert labels(small.result(WAIT)) == ["negative"]
    assert gate.batches[1:] == [["good"] * 4, ["bad", "good", "good"]]


def test_a_small_request_does_not_wait_for_a_part_that_fills_a_batch(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    large = batcher.submit(texts(gated, *["good"] * 9), {})
    small = batcher.submit(texts(gated, "bad"), {})
    gate.opened.set()
    assert labels(large.result(WAIT)) == ["positive"] * 9
    assert labels(small.result(WAIT)) == ["negative"]
    assert gate.batches[1:] == [["good"] * 4, ["bad"], ["good"] * 4, ["good"]]


def test_a_full_queue_refuses(batcher: Batcher, gated: Pipeline, gate: Gate) -> None:
    hold(batcher, gated, gate)
    for _ in range(3):
        batcher.submit(texts(gated, "good"), {})
    with pytest.raises(Overloaded, match="3 requests wait"):
        batcher.submit(texts(gated, "good"), {})


def test_a_cancelled_request_leaves_the_queue(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    gone = [batcher.submit(texts(gated, "bad"), {}) for _ in range(3)]
    assert all(future.cancel() for future in gone)
    stays = batcher.submit(texts(gated, "good"), {})
    gate.opened.set()
    assert labels(stays.result(WAIT)) == ["positive"]
    assert gate.batches == [["first"], ["good"]]


class Watched(dict[str, Any]):
    """Options of a request, which a weak reference can watch."""


def test_a_request_that_is_over_is_freed_without_the_garbage_collector(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    gone, answered = Watched(), Watched()
    watching = [ref(gone), ref(answered)]
    gc.disable()
    try:
        batcher.submit(texts(gated, "gone"), gone).cancel()
        future = batcher.submit(texts(gated, "good"), answered)
        del gone, answered
        gate.opened.set()
        future.result(WAIT)
        del future
        # The thread of the batch lets go of it with the next one.
        batcher.submit(texts(gated, "last"), {}).result(WAIT)
        end = monotonic() + WAIT
        while any(each() is not None for each in watching):
            assert monotonic() < end
            sleep(0.01)
    finally:
        gc.enable()


def test_an_input_that_cannot_be_answered_fails_alone(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    good = batcher.submit(texts(gated, "good"), {})
    broken = batcher.submit(texts(gated, "\ud800"), {})
    gate.opened.set()
    assert labels(good.result(WAIT)) == ["positive"]
    with pytest.raises(InputError, match="surrogate"):
        broken.result(WAIT)


def test_a_model_that_fails_to_load_is_tried_again(gated: Pipeline, gate: Gate) -> None:
    outcomes: list[Pipeline | Exception] = [gated, BundleCorrupt("A byte is flipped.")]

    def load() -> Pipeline:
        outcome = outcomes.pop()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    gate.opened.set()
    batcher = Batcher("m", load, max_batch=4, max_queue=4, metrics=Metrics())
    with pytest.raises(BundleCorrupt):
        batcher.submit(texts(gated, "good"), {}).result(WAIT)
    assert not batcher.loaded
    assert labels(batcher.submit(texts(gated, "good"), {}).result(WAIT)) == ["positive"]
    batcher.close()


def test_loading_ahead_reports_what_is_wrong() -> None:
    def load() -> Pipeline:
        raise BundleCorrupt("A byte is flipped.")

    batcher = Batcher("m", load, max_batch=4, max_queue=4, metrics=Metrics())
    with pytest.raises(BundleCorrupt):
        batcher.load().result(WAIT)
    batcher.close()


def test_closing_answers_what_is_queued_and_refuses_what_comes_later(
    batcher: Batcher, gated: Pipeline, gate: Gate
) -> None:
    hold(batcher, gated, gate)
    queued = batcher.submit(texts(gated, "good"), {})
    gate.opened.set()
    batcher.close()
    assert labels(queued.result(0)) == ["positive"]
    with pytest.raises(Overloaded, match="shutting down"):
        batcher.submit(texts(gated, "good"), {})


def test_a_request_that_would_wait_too_long_is_refused(gated: Pipeline, gate: Gate) -> None:
    queue = Batcher("m", lambda: gated, max_batch=1, max_queue=9, patience=0.2, metrics=Metrics())
    try:
        slow = queue.submit(texts(gated, "good"), {})
        assert gate.entered.wait(WAIT)
        waiting = queue.submit(texts(gated, "good"), {})  # how long batches take is not known yet
        waiting.cancel()
        sleep(2.0)
        gate.opened.set()
        slow.result(WAIT)
        gate.opened.clear()
        gate.entered.clear()
        held = queue.submit(texts(gated, "first"), {})
        assert gate.entered.wait(WAIT)
        with pytest.raises(QueueTooLong, match=r"take about \d+ seconds; the time limit is 0\.2"):
            queue.submit(texts(gated, "good"), {})
        gate.opened.set()
        held.result(WAIT)
        assert labels(queue.submit(texts(gated, "bad"), {}).result(WAIT)) == ["negative"]
    finally:
        gate.opened.set()
        queue.close()

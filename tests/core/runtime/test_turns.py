"""Calls that share a model take turns: whoever has much to do delays others by one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Condition, Event
from typing import Any

import pytest

from nlplug import Pipeline
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.seq2seq.model import Seq2SeqModel
from nlplug.families.sequence_classification import (
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.runtime.engine import Engine
from nlplug.runtime.session import OnnxExecutor
from nlplug.runtime.shared import WorkerPool
from nlplug.testing import tiny_text_classifier, tiny_translator

WAIT = 30.0
FIRST = 8 + 32
"""Number of texts in the first two chunks of a call of a translator."""
WORDS = ("cat", "dog", "sees", "bird", "hears", "eats", "fish", "runs")


class Hold:
    """Holds the first worker that comes until it is let go, and notes all that come."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.entered = Event()
        self.let_go = Event()

    def pass_through(self, who: str) -> None:
        self.seen.append(who)
        self.entered.set()
        if not self.let_go.wait(WAIT):
            raise TimeoutError("nobody let it go")


@pytest.fixture
def hold() -> Iterator[Hold]:
    hold = Hold()
    yield hold
    hold.let_go.set()


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], bool]:
    """Waits until so many owners have submitted calls to pools."""
    seen: set[object] = set()
    changed = Condition()
    submit = WorkerPool.submit_for

    def submit_for(pool: WorkerPool, owner: object, call: Callable[[], Any]) -> Future[Any]:
        future = submit(pool, owner, call)
        with changed:
            seen.add(owner)
            changed.notify_all()
        return future

    def wait(count: int) -> bool:
        with changed:
            return changed.wait_for(lambda: len(seen) >= count, WAIT)

    monkeypatch.setattr(WorkerPool, "submit_for", submit_for)
    return wait


def test_owners_take_turns_and_none_is_left_out(hold: Hold) -> None:
    pool = WorkerPool(1)
    first = pool.submit(hold.pass_through, "first")
    assert hold.entered.wait(WAIT)
    calls = [
        pool.submit_for(owner, lambda owner=owner: hold.seen.append(owner))
        for owner in ("a", "a", "a", "a", "b", "b", "c")
    ]
    assert pool.others_wait("a")
    calls[1].cancel()
    hold.let_go.set()
    pool.close()
    assert first.done() and all(call.done() for call in calls)
    assert hold.seen == ["first", "a", "b", "c", "b", "a", "a"]


def test_only_calls_of_others_count_as_others(hold: Hold) -> None:
    pool = WorkerPool(1)
    pool.submit_for("a", lambda: hold.pass_through("a"))
    assert hold.entered.wait(WAIT)
    pool.submit_for("a", int)
    assert not pool.others_wait("a")
    assert pool.others_wait("b")
    hold.let_go.set()
    pool.close()
    assert not pool.others_wait("b")


def test_the_windows_of_two_documents_take_turns(
    tmp_path: Path, hold: Hold, owners: Callable[[int], bool]
) -> None:
    bundle = tiny_text_classifier(tmp_path, max_length=10)

    class Executor(OnnxExecutor):
        def run(self, feeds: dict[str, Any], *, alone: bool = False) -> dict[str, Any]:
            ids = feeds["input_ids"]
            good = (ids == ids[0, 1]).sum() == (ids[:, 1:-1] > 0).sum() and ids[0, 1] == word
            hold.pass_through("long" if good else "short")
            return super().run(feeds, alone=alone)

    model = SequenceClassificationModel(bundle)
    executor = Executor(bundle.onnx_file("fp32"), threads=1)
    engine = Engine(executor, model, token_budget=1)
    options = SequenceClassificationOptions(stride=0)
    [rows] = model.encode([SequenceClassificationInput(text="good")], options)
    word = rows[0].features["input_ids"][1]

    def ask(words: str) -> str:
        [answer] = engine.map([SequenceClassificationInput(text=words)], options)
        return str(answer[0]["label"])

    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(ask, "good " * 800)
        assert hold.entered.wait(WAIT)
        short = pool.submit(ask, "bad " * 24)
        assert owners(2)
        hold.let_go.set()
        assert short.result(WAIT) == "negative"
        assert long.result(WAIT) == "positive"
    engine.close()
    assert hold.seen[:7] == ["long", "short", "long", "short", "long", "short", "long"]
    assert hold.seen[7:] == ["long"] * 96


def test_the_batches_of_two_calls_of_a_translator_take_turns(
    tmp_path: Path, hold: Hold, owners: Callable[[int], bool]
) -> None:
    class Model(Seq2SeqModel):
        def tidied(self, text: str, segment: Any, options: Any) -> str:
            kind = text.split()[0]
            if kind == "long" and len(hold.seen) >= FIRST:
                hold.pass_through(kind)
            else:
                hold.seen.append(kind)
            return super().tidied(text, segment, options)

    class Rewriting(Seq2SeqTask):
        name = "rewriting"
        title = "Rewriting"
        description = "The same in other words."

        def bind(self, bundle: Any) -> Seq2SeqModel:
            return Model(bundle, self.hub_task)

    def texts(kind: str, count: int) -> list[str]:
        return [f"{kind} {' '.join(words)}" for words in list(product(WORDS, repeat=3))[:count]]

    words = {word: word for word in (*WORDS, "long", "short")}
    with (
        Pipeline(Rewriting(), tiny_translator(tmp_path, words), threads=1) as pipe,
        ThreadPoolExecutor(2) as pool,
    ):
        long = pool.submit(lambda: list(pipe.map(texts("long", 200))))
        assert hold.entered.wait(WAIT)
        short = pool.submit(lambda: pipe(texts("short", FIRST)))
        assert owners(3)  # two chunks of the long call, and the short call
        hold.let_go.set()
        assert len(short.result(WAIT)) == FIRST
        assert len(long.result(WAIT)) == 200
    held, alone, batch = ["long"], ["short"] * 8, 16
    assert hold.seen == [
        *["long"] * FIRST,
        *held,
        *alone,  # a call of one batch waits for nobody
        *["long"] * (batch - 1),
        *["long"] * batch,  # its turn had come when the short call came
        *["short"] * batch,
        *["long"] * batch,
        *["short"] * batch,
        *["long"] * (200 - FIRST - 3 * batch),
    ]

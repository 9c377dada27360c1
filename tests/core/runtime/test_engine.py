"""The engine answers in order, in bounded memory, whatever the lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from nlplug.errors import InputError
from nlplug.families.sequence_classification import (
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.models.bundle import Bundle
from nlplug.runtime.engine import Engine
from nlplug.runtime.session import OnnxExecutor
from nlplug.testing import tiny_text_classifier

OPTIONS = SequenceClassificationOptions()
WAIT = 30.0


class Held(OnnxExecutor):
    """Finishes no batch before it is let go, and notes each that it began."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle.onnx_file("fp32"), threads=2)
        self.begun: list[int] = []
        self.entered = Event()
        self.let_go = Event()

    def run(self, feeds: dict[str, Any], *, alone: bool = False) -> dict[str, Any]:
        self.begun.append(len(feeds["input_ids"]))
        self.entered.set()
        if not self.let_go.wait(WAIT):
            raise TimeoutError("nobody let it go")
        return super().run(feeds, alone=alone)


def text(words: str) -> SequenceClassificationInput:
    return SequenceClassificationInput(text=words)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny"), max_length=10)


@pytest.fixture
def engine(bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(
        OnnxExecutor(bundle.onnx_file("fp32"), threads=2), SequenceClassificationModel(bundle)
    )
    yield engine
    engine.close()


def mixed(count: int) -> list[SequenceClassificationInput]:
    return [text(("good " if i % 3 else "bad ") * (1 + i % 7)) for i in range(count)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 3000])
def test_answers_come_in_the_order_of_the_inputs(engine: Engine, count: int) -> None:
    labels = [answer[0]["label"] for answer in engine.map(mixed(count), OPTIONS)]
    assert labels == ["positive" if i % 3 else "negative" for i in range(count)]


def test_a_batch_gives_the_scores_of_single_texts(engine: Engine) -> None:
    together = [answer[0]["score"] for answer in engine.map(mixed(100), OPTIONS)]
    alone = [next(engine.map([item], OPTIONS))[0]["score"] for item in mixed(100)]
    assert together == pytest.approx(alone, abs=1e-6)


def test_an_endless_stream_is_read_only_a_little_ahead(engine: Engine) -> None:
    read = 0

    def endless() -> Iterator[SequenceClassificationInput]:
        nonlocal read
        while True:
            read += 1
            yield text("good")

    answers = engine.map(endless(), OPTIONS)
    for _ in range(10_000):
        next(answers)
    assert read <= 10_000 + 2 * 1024


def test_long_texts_make_shorter_chunks(engine: Engine) -> None:
    read = 0

    def documents() -> Iterator[SequenceClassificationInput]:
        nonlocal read
        for _ in range(50):
            read += 1
            yield text("good " * 100_000)

    next(engine.map(documents(), OPTIONS))
    assert read <= 2 * math.ceil(2_000_000 / 500_000)


def test_an_early_answer_does_not_wait_for_a_long_stream(engine: Engine) -> None:
    read = 0

    def stream() -> Iterator[SequenceClassificationInput]:
        nonlocal read
        for item in mixed(5000):
            read += 1
            yield item

    next(engine.map(stream(), OPTIONS))
    assert read <= 64 + 256


def window_logit(good: int, bad: int) -> float:
    """The positive logit of a window with these words and two special tokens."""
    return 4 * (good - bad) / (good + bad + 2)


@pytest.mark.parametrize(
    ("stride", "windows"),
    [
        # Windows of ten tokens hold eight words: for each its logit, and its tokens that are new.
        (0, [(window_logit(8, 0), 10), (window_logit(0, 4), 6)]),
        (3, [(window_logit(8, 0), 10), (window_logit(3, 4), 9 - 3)]),
        (5, [(window_logit(8, 0), 10), (window_logit(5, 3), 10 - 5), (window_logit(2, 4), 8 - 5)]),
    ],
)
def test_a_window_counts_by_its_tokens_that_are_not_in_the_window_before(
    engine: Engine, stride: int, windows: list[tuple[float, int]]
) -> None:
    options = SequenceClassificationOptions(stride=stride, top_k=None, function_to_apply="none")
    [answer] = engine.map([text("good " * 8 + "bad " * 4)], options)
    expected = sum(logit * tokens for logit, tokens in windows) / sum(n for _, n in windows)
    assert {entry["label"]: entry["score"] for entry in answer}["positive"] == pytest.approx(
        expected, rel=1e-5
    )


def test_a_bad_input_stops_the_stream_with_its_error(engine: Engine) -> None:
    answers = engine.map([*mixed(64), text("\ud800"), *mixed(200)], OPTIONS)
    with pytest.raises(InputError, match="surrogate"):
        list(answers)
    assert len(list(engine.map(mixed(70), OPTIONS))) == 70


def test_several_threads_share_an_engine(engine: Engine) -> None:
    expected = list(engine.map(mixed(300), OPTIONS))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(lambda: list(engine.map(mixed(300), OPTIONS))) for _ in range(8)]
        assert all(job.result() == expected for job in jobs)


def test_raw_outputs_come_by_input_and_window(engine: Engine) -> None:
    outputs = engine.outputs([text("good"), text("good " * 20)], OPTIONS)
    assert [len(rows) for rows in outputs] == [1, 3]
    assert outputs[0][0]["logits"].shape == (2,)


def test_cancelled_answers_end_with_the_batches_that_run(bundle: Bundle) -> None:
    executor = Held(bundle)
    engine = Engine(executor, SequenceClassificationModel(bundle))
    answers = engine.map([text("good " * 20_000)], OPTIONS)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(next, answers)
        assert executor.entered.wait(WAIT)
        answers.cancel()
        executor.let_go.set()
        with pytest.raises(CancelledError):
            reading.result(WAIT)
    assert len(executor.begun) <= executor.workers
    assert len(list(engine.map(mixed(70), OPTIONS))) == 70
    engine.close()


def test_answers_that_are_there_already_do_not_come_once_cancelled(engine: Engine) -> None:
    answers = engine.map(mixed(10), OPTIONS)
    next(answers)
    answers.cancel()
    with pytest.raises(CancelledError):
        next(answers)


def test_closed_answers_are_at_their_end(engine: Engine) -> None:
    answers = engine.map(mixed(10), OPTIONS)
    next(answers)
    answers.close()
    assert list(answers) == []

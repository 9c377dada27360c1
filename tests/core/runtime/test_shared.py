"""What threads share is built once, starts anew in a forked child, and can be closed in use."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nlplug.families.causal_lm import CausalTask
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.pipelines import Pipeline
from nlplug.runtime.shared import Lazy, WorkerPool
from nlplug.testing import tiny_text_classifier, tiny_translator

WAIT = 60.0
needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


class Judge(SequenceClassificationTask):
    """Judges."""

    name = "judge"
    title = "Judge"
    description = "Judges."


class Rewrite(Seq2SeqTask):
    """Rewrites."""

    name = "rewrite"
    title = "Rewrite"
    description = "Rewrites."


class Continue(CausalTask):
    """Continues."""

    name = "continue"
    title = "Continue"
    description = "Continues."


def test_a_value_is_built_once_for_all_threads() -> None:
    built: list[int] = []
    gate = threading.Barrier(8)

    def build() -> int:
        built.append(1)
        return 7

    lazy = Lazy(build)

    def read() -> int:
        gate.wait(WAIT)
        return lazy.get()

    with ThreadPoolExecutor(8) as pool:
        assert [job.result(WAIT) for job in [pool.submit(read) for _ in range(8)]] == [7] * 8
    assert (built, lazy.built) == ([1], True)
    lazy.clear()
    assert not lazy.built
    assert (lazy.get(), built) == (7, [1, 1])


def test_a_build_that_failed_is_tried_again() -> None:
    answers = iter([ValueError("not yet"), 7])

    def build() -> int:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    lazy = Lazy(build)
    with pytest.raises(ValueError, match="not yet"):
        lazy.get()
    assert lazy.get() == 7


def test_a_closed_pool_finishes_what_it_was_given_and_starts_again() -> None:
    pool = WorkerPool(1)
    let_go = threading.Event()
    first = pool.submit(let_go.wait, WAIT)
    second = pool.submit(int, "7")
    closing = threading.Thread(target=pool.close)
    closing.start()
    third = pool.submit(int, "8")  # while the other thread waits
    assert third.result(WAIT) == 8
    let_go.set()
    closing.join(WAIT)
    assert not closing.is_alive()
    assert (first.result(), second.result()) == (True, 7)
    pool.close()


@pytest.fixture(params=["one graph", "encoder and decoder"])
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipeline]:
    if request.param == "one graph":
        made = Pipeline(Judge(), tiny_text_classifier(tmp_path), threads=2)
    else:
        made = Pipeline(Rewrite(), tiny_translator(tmp_path), threads=2)
    with made:
        yield made


def test_a_pipeline_that_is_closed_while_another_thread_streams_goes_on(pipe: Pipeline) -> None:
    texts = [f"{'good ' * (1 + i % 5)}" for i in range(600)]
    expected = pipe(texts)
    begun, ended = threading.Event(), threading.Event()

    def read() -> list[object]:
        answers = []
        for answer in pipe.map(texts):
            answers.append(answer)
            begun.set()
        return answers

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read)
        assert begun.wait(WAIT)

        def close() -> None:
            while not ended.is_set():
                pipe.close()

        closing = pool.submit(close)
        try:
            answers = reading.result(WAIT)
        finally:
            ended.set()
        closing.result(WAIT)
    assert answers == expected


FORK = """
import os, sys, threading, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from nlplug.pipelines import Pipeline
from test_shared import {task}
from nlplug.testing import {tiny}
texts = ["good " * (1 + i % 7) for i in range(300)]
options = {{"do_sample": False, "max_new_tokens": 4}} if {task!r} == "Continue" else {{}}
pipe = Pipeline({task}(), {tiny}(Path({folder!r})), threads=2)
expected = pipe(texts, **options)
def other():
    for _ in range(3):
        pipe._runner.close()
        pipe(texts, **options)
threading.Thread(target=other).start()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if pipe(texts, **options) == expected else 1)
    children.append(child)
deadline = time.monotonic() + 60
for child in children:
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            for other in children:
                try: os.kill(other, 9)
                except ProcessLookupError: pass
            sys.exit("a child hangs")
        time.sleep(0.02)
    if status:
        sys.exit(f"a child ended with {{status}}")
"""


@needs_fork
def test_a_pool_and_a_value_start_anew_in_a_forked_child() -> None:
    pool, held = WorkerPool(2), threading.Event()
    lazy = Lazy(os.getpid)
    assert pool.submit(lazy.get).result(WAIT) == os.getpid()
    pool.submit(held.wait, WAIT)
    with pool._lock, lazy._lock:  # as another thread may hold them while this one forks
        child = os.fork()
        if child == 0:
            os._exit(0 if pool.submit(lazy.get).result(WAIT) == os.getpid() else 1)
    held.set()
    assert os.waitpid(child, 0) == (child, 0)
    pool.close()


@needs_fork
@pytest.mark.parametrize(
    ("task", "tiny"),
    [
        ("Judge", "tiny_text_classifier"),
        ("Rewrite", "tiny_translator"),
        ("Continue", "tiny_text_generator"),
    ],
)
@pytest.mark.parametrize("parallel", [None, "false"])
def test_a_forked_child_answers(tmp_path: Path, task: str, tiny: str, parallel: str | None) -> None:
    code = textwrap.dedent(FORK).format(
        tests=str(Path(__file__).parent),
        task=task,
        tiny=tiny,
        folder=str(tmp_path),
    )
    # Where it is "true", the tokenizers library itself hangs in children; unset, it takes care.
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    if parallel is not None:
        environment["TOKENIZERS_PARALLELISM"] = parallel
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""Texts of several calls are decoded together, and each has the tokens that it has alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Barrier, Event
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT, END, Pair, make_model, prompts

from nlplug.runtime.decoding import joined as module
from nlplug.runtime.decoding.fast import FastCausalDecoding, FastDecoder
from nlplug.runtime.decoding.generate import Generated, generate, stream
from nlplug.runtime.decoding.joined import JoinedDecoder, joined
from nlplug.runtime.decoding.open import open_decoder
from nlplug.runtime.decoding.options import DecodingOptions

pytestmark = pytest.mark.train
WAIT = 30.0
PairOf = Callable[[str], Pair]

SETTINGS: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "top_k": 9, "top_p": 0.9, "seed": 2},
    {"do_sample": True, "min_p": 0.1, "top_k": 0, "seed": 5, "num_return_sequences": 3},
    {"repetition_penalty": 1.3, "logprobs": True},
    {"num_beams": 3, "num_return_sequences": 2},
    {"suppress_tokens": (3, 4), "do_sample": True, "top_p": 0.5, "seed": 1},
    {"max_new_tokens": 3},
    {"min_new_tokens": 30, "max_new_tokens": 70},
]


@pytest.fixture
def decoder(pair: PairOf) -> JoinedDecoder:
    return JoinedDecoder(pair("llama").session)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine too, a call that is on its way is waited for."""
    monkeypatch.setattr(module, "_PATIENCE", 5.0)


def options(**settings: Any) -> DecodingOptions:
    return DecodingOptions(**{"max_new_tokens": 24, "eos": (END,), **settings})


def tokens_of(made: list[list[Generated]]) -> list[list[list[int]]]:
    return [[text.tokens for text in row] for row in made]


def until_joined(decoder: JoinedDecoder, rows: int) -> None:
    """Wait until the batch has so many rows, those included that join with the next step."""
    end = monotonic() + WAIT
    found = 0
    while found < rows:
        assert monotonic() < end, f"{found} rows"
        sleep(0.001)
        with decoder.lock:
            found = decoder.batch.rows


@pytest.mark.parametrize("patience", [5.0, 0.0])
def test_calls_with_any_options_have_the_tokens_that_they_have_alone(
    decoder: JoinedDecoder, pair: PairOf, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", patience)  # without any, calls often leave and join
    alone = pair("llama").session
    calls = [(prompts(1 + seed % 3, seed=seed), SETTINGS[seed % 8]) for seed in range(24)]
    expected = [generate(alone, texts, options(**settings)) for texts, settings in calls]
    begin = Barrier(8)

    def run(number: int) -> list[list[Generated]]:
        texts, settings = calls[number]
        if number < 8:
            begin.wait(WAIT)
        return generate(decoder, texts, options(**settings))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(run, range(24)))
    for found, wanted in zip(made, expected, strict=True):
        assert tokens_of(found) == tokens_of(wanted)
        for text, other in zip(chain(*found), chain(*wanted), strict=True):
            assert text.finish == other.finish
            assert text.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            assert text.score == pytest.approx(other.score, abs=1e-4)
    assert decoder.batch.rows == 0


class Counting:
    """Counts the rows of each step of the graph."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        step = FastCausalDecoding.step

        def counted(decoding: FastCausalDecoding, tokens: np.ndarray) -> None:
            self.rows.append(len(tokens))
            step(decoding, tokens)

        monkeypatch.setattr(FastCausalDecoding, "step", counted)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


@pytest.fixture
def one_batch(pair: PairOf) -> JoinedDecoder:
    return JoinedDecoder(pair("gpt2").session)


def test_a_short_text_joins_a_long_one_and_ends_before_it(
    one_batch: JoinedDecoder, pair: PairOf, steps: Counting
) -> None:
    long = options(max_new_tokens=90, min_new_tokens=90)
    going, ended = Event(), Event()
    after: list[int] = []

    def decode_long() -> list[int]:
        made = []
        for token in stream(one_batch, [[5, 6, 7]], long):
            made.append(token.token)
            if len(made) == 10:
                going.set()
                until_joined(one_batch, 2)
            if len(made) == 60:
                assert ended.wait(WAIT)
        after.append(len(made))
        return made

    def decode_short() -> list[int]:
        assert going.wait(WAIT)
        made = []
        for token in stream(one_batch, [[9]], options(max_new_tokens=6, min_new_tokens=6)):
            made.append(token.token)
        assert not after  # the long one goes on
        ended.set()
        return made

    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(decode_long), pool.submit(decode_short)
        made = [one.result(WAIT) for one in found]
    alone = pair("gpt2").session
    assert made[0] == generate(alone, [[5, 6, 7]], long)[0][0].tokens
    assert len(made[0]) == 90
    # Five steps after the first token of six; the long one takes part in each.
    assert steps.rows.count(2) == 5
    # Nothing is computed twice, nor for a row that has ended.
    assert sum(steps.rows[:89]) == 89 + 5


def test_a_reader_that_pauses_holds_up_nobody(
    one_batch: JoinedDecoder, pair: PairOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    long = options(max_new_tokens=40, min_new_tokens=40)
    readers = [stream(one_batch, [[5 + n, 6]], long) for n in range(3)]
    chosen = random.Random(3)
    made: list[list[int]] = [[], [], []]
    # In one thread, whoever is not read is paused: each step has to do without the others.
    while sum(map(len, made)) < 120:
        number = chosen.choice([n for n in range(3) if len(made[n]) < 40])
        made[number].append(next(readers[number]).token)
    alone = pair("gpt2").session
    assert made == [generate(alone, [[5 + n, 6]], long)[0][0].tokens for n in range(3)]


def test_a_text_that_is_left_or_cancelled_leaves_the_others_alone(
    one_batch: JoinedDecoder, pair: PairOf
) -> None:
    long = options(max_new_tokens=60, min_new_tokens=60)
    begin = Barrier(3)

    def leave() -> None:
        begin.wait(WAIT)
        tokens = stream(one_batch, [[9, 8]], long)
        for _ in range(7):
            next(tokens)
        tokens.close()

    def cancel() -> None:
        begin.wait(WAIT)
        asked: list[int] = []

        def cancelled() -> bool:
            asked.append(1)
            return len(asked) > 9

        with pytest.raises(CancelledError):
            generate(one_batch, [[3], [4, 5]], options(max_new_tokens=60, cancelled=cancelled))

    def finish() -> list[list[list[int]]]:
        begin.wait(WAIT)
        return tokens_of(generate(one_batch, [[5], [6, 7]], long))

    with ThreadPoolExecutor(3) as pool:
        others = pool.submit(leave), pool.submit(cancel)
        made = pool.submit(finish).result(WAIT)
        for other in others:
            other.result(WAIT)
    assert made == tokens_of(generate(pair("gpt2").session, [[5], [6, 7]], long))
    assert one_batch.batch.rows == 0


def test_a_failing_step_fails_its_calls_and_no_later_one(
    one_batch: JoinedDecoder, pair: PairOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Barrier(2)
    step, failed = FastCausalDecoding.step, Event()

    def fail_once(decoding: FastCausalDecoding, tokens: np.ndarray) -> None:
        if len(tokens) == 1 and not failed.is_set():
            until_joined(one_batch, 2)
        if len(tokens) == 2 and not failed.is_set():
            failed.set()
            raise RuntimeError("out of memory")
        step(decoding, tokens)

    def run(number: int) -> None:
        begin.wait(WAIT)
        with pytest.raises(RuntimeError, match="out of memory"):
            generate(one_batch, [[number]], options(max_new_tokens=100, min_new_tokens=100))

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(FastCausalDecoding, "step", fail_once)
        list(pool.map(run, (3, 4)))
    made = generate(one_batch, [[5]], options())
    assert tokens_of(made) == tokens_of(generate(pair("gpt2").session, [[5]], options()))


def test_a_call_whose_rows_find_no_memory_fails_alone(
    one_batch: JoinedDecoder, pair: PairOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", WAIT)
    long = options(max_new_tokens=90, min_new_tokens=90)
    going = Event()

    def no_memory(*_: Any) -> None:
        raise MemoryError

    def decode_long() -> list[int]:
        made = []
        for token in stream(one_batch, [[5, 6, 7]], long):
            made.append(token.token)
            if len(made) == 10:
                going.set()
                until_joined(one_batch, 2)
        return made

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(decode_long)
        assert going.wait(WAIT)
        monkeypatch.setattr(FastCausalDecoding, "add", no_memory)
        with pytest.raises(MemoryError):
            generate(one_batch, [[9]], options())
        assert other.result(WAIT) == generate(pair("gpt2").session, [[5, 6, 7]], long)[0][0].tokens


def test_a_full_batch_leaves_further_calls_alone(
    one_batch: JoinedDecoder, monkeypatch: pytest.MonkeyPatch, steps: Counting
) -> None:
    monkeypatch.setattr(module, "_ROWS", 4)
    begin = Barrier(3)

    def run(number: int) -> list[list[list[int]]]:
        begin.wait(WAIT)
        long = options(max_new_tokens=60, min_new_tokens=60)
        return tokens_of(generate(one_batch, prompts(3, seed=number), long))

    with ThreadPoolExecutor(3) as pool:
        assert len(list(pool.map(run, range(3)))) == 3
    assert set(steps.rows) == {3}


def test_rows_reach_the_end_of_the_context_beside_others(
    one_batch: JoinedDecoder, pair: PairOf
) -> None:
    calls = [[5] * (CONTEXT - 4), [7, 8]]
    begin = Barrier(2)

    def run(text: list[int]) -> list[list[list[int]]]:
        begin.wait(WAIT)
        return tokens_of(generate(one_batch, [text], options(max_new_tokens=60)))

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(run, calls))
    alone = pair("gpt2").session
    assert made == [
        tokens_of(generate(alone, [text], options(max_new_tokens=60))) for text in calls
    ]


def test_calls_of_a_large_model_are_joined_and_those_of_others_run_side_by_side(
    pair: PairOf, tmp_path: Path
) -> None:
    from nlplug.export.decoder.export import save_graph
    from nlplug.export.exporters.exporter import installed_exporter

    small = pair("gpt2").session
    assert small.spec.one_thread
    assert joined(small) is small
    again = open_decoder(small.sessions.path, threads=1)
    assert isinstance(again, FastDecoder)
    large = FastDecoder(again.sessions, replace(small.spec, one_thread=0))
    assert isinstance(joined(large), JoinedDecoder)
    graph = installed_exporter().causal(make_model("gpt2"), tmp_path)
    save_graph(graph, tmp_path / "plain.onnx")
    plain = open_decoder(tmp_path / "plain.onnx")
    assert joined(plain) is plain

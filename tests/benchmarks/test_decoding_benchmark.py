"""The decoding benchmarks: fair shares, honest bars, and one whole run with tiny models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def _benchmarks(root: Path) -> Iterator[None]:
    """The scripts import one another as a user's ``python benchmarks/run.py`` lets them."""
    sys.path.insert(0, str(root / "benchmarks"))
    yield
    sys.path.remove(str(root / "benchmarks"))


def test_the_prompts_are_the_same_on_each_machine() -> None:
    from decoding import Shape

    prompts = Shape(prompt=20, new=24, vocabulary=8000, end=0).prompts(8)
    assert prompts == Shape(20, 24, 8000, 0).prompts(9)[:8]
    assert {len(prompt) for prompt in prompts} == {20}
    assert {prompt[-1] for prompt in prompts} == {0}


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (5, [2, 3]), (1, [1])])
def test_sessions_share_a_batch_evenly(count: int, sizes: list[int]) -> None:
    from decoding import shares

    prompts = [[number] for number in range(count)]
    parts = shares(prompts, 2)
    assert [len(part) for part in parts] == sizes
    assert [prompt for part in parts for prompt in part] == prompts


def test_every_goal_names_contenders_and_cases_that_there_are() -> None:
    from parts import DECODING, OURS

    for part in DECODING.values():
        for goal in part.goals:
            assert {goal.case, goal.against or goal.case} <= part.cases.keys()
            names = {f"{part.shape}-{name}" for name in (*OURS, *goal.peers)}
            assert names <= part.contenders.keys()
        assert {case.like for case in part.cases.values()} <= {"", *part.cases}


def test_we_are_held_against_the_best_of_the_peers() -> None:
    from arena import Record
    from decoding_race import Decoded, Streaming
    from decoding_report import decoding_bars

    rates = {"marian-nlplug-int8": 80.0, "marian-ctranslate2-int8": 90.0}
    rates["marian-ctranslate2-fp32"] = 160.0
    records = {name: Record(values=[rate]) for name, rate in rates.items()}
    [bar] = decoding_bars({"translation": Decoded(1, {"batch 1": records})}, Streaming())
    assert (bar.target, bar.measured, bar.met) == (0.8, 0.5, False)
    assert bar.title == "translation, batch 1: int8 over ctranslate2-fp32"


def test_sampling_is_held_against_the_same_graph_without_it() -> None:
    from arena import Record
    from decoding_race import Decoded, Streaming
    from decoding_report import decoding_bars

    greedy = {"gpt2-nlplug-int8": Record(values=[50.0])}
    greedy["gpt2-nlplug-int8-blocks"] = Record(values=[100.0])
    sampled = {"gpt2-nlplug-int8": Record(values=[45.0])}
    cases = {"batch 1": greedy, "batch 1, sampled": sampled}
    [bar] = decoding_bars({"generation": Decoded(1, cases)}, Streaming())
    assert bar.measured == 0.9


def test_texts_are_the_same_when_all_their_tokens_are() -> None:
    from arena import Record
    from decoding_report import identical

    reference = Record(answers=[[1, 2], [3, 4]])
    assert identical(Record(answers=[[1, 2], [3, 5]]), reference) == 0.5


def test_who_cannot_take_part_is_in_the_table_with_the_reason() -> None:
    from decoding_race import Decoded
    from decoding_report import decoding_table

    missing = {"llama-genai-int8": "its environment cannot be made: no such package"}
    table = decoding_table("llama", Decoded(3, {"batch 1": {}}, missing))
    assert "genai-int8: its environment cannot be made: no such package." in table


def test_a_quick_run_measures_tiny_models_to_the_end(root: Path, tmp_path: Path) -> None:
    from decoding_models import make

    make("gpt2", tmp_path / "tiny" / "gpt2", tmp_path, tiny=True, only=["nlplug"])
    command = [sys.executable, str(root / "benchmarks" / "run.py"), "--quick", "--patience", "0"]
    arguments = {
        "--only": "generation",
        "--contenders": "gpt2-nlplug-fp32,gpt2-nlplug-int8",
        "--work": str(tmp_path),
        "--results": str(tmp_path),
    }
    done = subprocess.run(
        [*command, *(word for pair in arguments.items() for word in pair)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| **nlplug, int8** |" in done.stdout
    [file] = tmp_path.glob("*.raw-quick.json")
    raw = json.loads(file.read_text(encoding="utf-8"))
    case = raw["decoding"]["generation"]["cases"]["batch 8"]
    assert {len(text) for record in case.values() for text in record["answers"]} == {8}


def test_the_first_token_and_memory_are_measured_on_our_graph(tmp_path: Path) -> None:
    from decoding_models import make
    from decoding_probe import Probe

    make("gpt2", tmp_path / "gpt2", tmp_path, tiny=True, only=["nlplug"])
    probe = Probe(tmp_path / "gpt2", "int8")
    found = probe.first_token(prompt=6, calls=2)
    assert found["bare"] > 0
    assert found["first"] > 0
    grown = probe.memory(rows=2, new=8)
    assert 0 < grown["cache"] < grown["whole"]

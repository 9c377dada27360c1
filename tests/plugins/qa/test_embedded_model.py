"""The model inside the package: as good as its card says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.errors import InputError
from nlplug.evaluation.run import evaluate
from nlplug_qa.plugin import register_models

BRIDGE = (
    "The old stone bridge over the river was designed by Anna Weber in 1887 and opened two years "
    "later. It carried the only road to the coast until 1954, when a flood swept it away. Today a "
    "steel bridge with four lanes stands in its place, and some 20,000 cars use it every day."
)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    [spec] = register_models()
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def ask(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("qa") as ask:
        yield ask


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who designed the stone bridge?", "Anna Weber"),
        ("When was the bridge designed?", "1887"),
        ("How many cars use the steel bridge every day?", "20,000"),
    ],
)
def test_it_answers_plain_questions(ask: Pipeline, question: str, answer: str) -> None:
    found = ask(question=question, context=BRIDGE)
    assert answer in found["answer"]
    assert BRIDGE[found["start"] : found["end"]] == found["answer"]


def test_an_accent_written_as_a_mark_is_part_of_the_answer(ask: Pipeline) -> None:
    found = ask(question="Who lives in Berlin?", context="Jose\u0301 lives in Berlin.")
    assert (found["answer"], found["start"], found["end"]) == ("Jose\u0301", 0, 5)


@pytest.mark.parametrize("question", ["\u200b", "\u0301", "\x01"])
def test_a_question_that_cannot_be_read_is_not_answered(ask: Pipeline, question: str) -> None:
    with pytest.raises(InputError, match="no character that the model can read"):
        ask(question=question, context=BRIDGE)


def test_questions_of_xquad_are_answered_as_well_as_asked(ask: Pipeline, data_folder: Path) -> None:
    # All 1,190 take over a minute of two cores.
    result = evaluate(ask, data_folder / "dev" / "qa" / "xquad_en.jsonl.gz", limit=600)
    assert result.report["f1"] >= 0.685

"""What runs a task's model: one graph in one pass by default, or what the task brings."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from nlplug.errors import OptionError
from nlplug.families.family import Family
from nlplug.families.one_pass import GraphRunner
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.runtime.answers import Answers, TextPiece
from nlplug.task import Display, Runner, StreamingRunner, Task, TaskInput, TaskOptions
from nlplug.testing import tiny_text_classifier


class MoodTask(SequenceClassificationTask):
    """Judges."""

    name = "mood"
    title = "Mood"
    description = "Judges."


class Speller(StreamingRunner):
    """Answers with the letters of a text, one after the other."""

    @property
    def device(self) -> str:
        return "cpu"

    def __init__(self) -> None:
        self.given = 0
        self.opened = self.closed = False

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        def spelled(stop: Event) -> Generator[Any, None, None]:
            for item in inputs:
                yield {"letters": list(item.model_dump()["text"])}

        return Answers(spelled)

    def stream(self, item: TaskInput, options: TaskOptions) -> Generator[TextPiece, None, None]:
        for letter in item.model_dump()["text"]:
            self.given += 1
            yield TextPiece(letter, tokens=self.given)
        yield TextPiece("", "eos", self.given)

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.closed = True


class SpellTask(Task):
    """Spells."""

    name = "spell"
    title = "Spell"
    description = "Spells."
    hub_task = "text-generation"
    Output = dict
    display = Display.TEXT
    family = Family("spelling", streams=True)

    def load(self, bundle: Bundle, **settings: Any) -> Runner:
        return Speller()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_text_classifier(tmp_path)


def test_a_task_without_a_runner_of_its_own_runs_one_graph(bundle: Bundle) -> None:
    runner = MoodTask().load(bundle, precision="fp32")
    assert isinstance(runner, GraphRunner)
    assert runner.device == "cpu"


def test_answers_that_come_whole_cannot_be_streamed(bundle: Bundle) -> None:
    pipe = Pipeline(MoodTask(), bundle)
    for ask in (pipe.stream, pipe.pieces):
        with pytest.raises(OptionError, match="'mood' cannot be streamed"):
            ask("good")

    async def read() -> None:
        async for _ in pipe.astream("good"):
            pass

    with pytest.raises(OptionError, match="'mood' cannot be streamed"):
        asyncio.run(read())


def test_a_task_answers_with_the_runner_it_brings(bundle: Bundle) -> None:
    with Pipeline(SpellTask(), bundle) as pipe:
        assert pipe("ab") == {"letters": ["a", "b"]}
        assert pipe(["ab", "c"]) == [{"letters": ["a", "b"]}, {"letters": ["c"]}]
        assert list(pipe.stream("abc")) == ["a", "b", "c"]
        assert list(pipe.pieces(text="a")) == [TextPiece("a", None, 4), TextPiece("", "eos", 4)]


def test_a_stream_that_is_closed_goes_no_further(bundle: Bundle) -> None:
    runner = Speller()

    class One(SpellTask):
        def load(self, bundle: Bundle, **settings: Any) -> Runner:
            return runner

    with Pipeline(One(), bundle) as pipe:
        pipe.open()
        letters = pipe.stream("abcdef")
        assert next(letters) == "a"
        letters.close()
        assert list(letters) == []
        assert runner.given == 1
    assert runner.opened and runner.closed

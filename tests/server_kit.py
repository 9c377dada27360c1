"""What tests of the HTTP server need: a real server, and tasks that can be held at any step."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import cycle, islice
from threading import Event, Thread
from typing import Any

import uvicorn
from fastapi import FastAPI

from nlplug import Bundle, Display, Task
from nlplug.errors import InputError
from nlplug.families.family import Family
from nlplug.families.one_pass import Row
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.runtime.answers import Answers, TextPiece
from nlplug.server.listening import listen, url_of
from nlplug.task import StreamingRunner, TaskInput, TaskOptions

WAIT = 30.0
"""Seconds after which something that never happens fails the test."""

# Takes about as long as a token of a small model, and leaves the interpreter to others.
_WORK = bytes(1_000_000)


class Gate:
    """Holds a task's batches until it is opened, and remembers what each batch held."""

    def __init__(self) -> None:
        self.entered = Event()
        self.opened = Event()
        self.batches: list[list[str]] = []

    def pass_through(self, texts: list[str]) -> None:
        self.batches.append(texts)
        self.entered.set()
        if not self.opened.wait(WAIT):
            raise TimeoutError("the gate was never opened")


class GatedTask(SequenceClassificationTask):
    """Text classification behind a gate."""

    name = "gated"
    title = "Gated"
    description = "Classifies when the gate is open."

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def bind(self, bundle: Bundle) -> SequenceClassificationModel:
        gate = self.gate

        class Model(SequenceClassificationModel):
            def encode(self, inputs: Sequence[Any], options: Any) -> list[list[Row]]:
                gate.pass_through([item.text for item in inputs])
                return super().encode(inputs, options)

        return Model(bundle)


class EchoOptions(TaskOptions):
    """How long the echo is; 0 for an endless one."""

    max_new_tokens: int = 4
    return_full_text: bool = True
    do_sample: bool = False
    temperature: float = 1.0
    seed: int | None = None


class EchoTask(Task):
    """Says the words of a text again and again, one by one, but not a "!"; each waits at the gate.

    Attributes:
        said: How many words it said.
        ended: Set when a text has ended, whoever ended it.
    """

    name = "echo"
    title = "Echo"
    description = "Repeats words."
    hub_task = "text-generation"
    Options = EchoOptions
    Output = list[dict[str, str]]
    display = Display.TEXT
    family = Family(
        "echo", streams=True, hub_shape="nlplug.server.protocols.text_generation:GENERATED"
    )

    def __init__(self) -> None:
        self.gate = Event()
        self.gate.set()
        self.ended = Event()
        self.said = 0

    def load(self, bundle: Bundle, **settings: Any) -> EchoRunner:
        return EchoRunner(self)


class EchoRunner(StreamingRunner):
    """Runs an `EchoTask`."""

    def __init__(self, task: EchoTask) -> None:
        self._task = task

    @property
    def device(self) -> str:
        return "cpu"

    def map(self, inputs: Iterable[TaskInput], options: TaskOptions) -> Answers:
        def texts(stop: Event) -> Generator[Any, None, None]:
            for item in inputs:
                text = "".join(piece.text for piece in self.stream(item, options))
                yield [{"generated_text": text}]

        return Answers(texts)

    def stream(self, item: Any, options: Any) -> Generator[TextPiece, None, None]:
        words = cycle(item.text.split())
        count = options.max_new_tokens
        try:
            for place, word in enumerate(islice(words, count) if count else words, 1):
                if word == "!":
                    raise InputError("There is no word '!'.", hint="Leave it out.")
                if not self._task.gate.wait(WAIT):
                    raise TimeoutError("the gate was never opened")
                self._task.said += 1
                sha256(_WORK)
                yield TextPiece(f" {word}", "length" if place == count else None, place)
        finally:
            self._task.ended.set()

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs ``app`` in a thread."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join(WAIT)

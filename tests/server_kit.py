"""What tests of the HTTP server need: a real server, and a task whose batches can be held."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import uvicorn
from fastapi import FastAPI

from nlplug import Bundle
from nlplug.families.sequence_classification import (
    SequenceClassificationModel,
    SequenceClassificationTask,
)
from nlplug.task import Row

WAIT = 30.0
"""Seconds after which something that never happens fails the test."""


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


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs ``app`` in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(WAIT)

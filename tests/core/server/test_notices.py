"""Warnings about answers: each client is told of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nlplug import Pipeline, PluginHost
from nlplug.server import create_app
from nlplug.server.app import WARNINGS_HEADER
from nlplug.server.batch import Batch, Job, Share
from nlplug.testing import tiny_text_generator, tiny_translator, tiny_word_filler

WORDS = {"the": "", "a": "one", "cat": "chat", "dog": "chien", "sees": "voit"}
LONG = "a cat sees a dog"
TOLD = "ended at max_new_tokens (2). Give a larger one for the whole text."


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    host = PluginHost.discover(only={"summarization"})
    made = tiny_translator(tmp_path_factory.mktemp("writer"), WORDS, max_length=48)
    with Pipeline(host.task("summarization"), made, threads=1) as pipe:
        yield pipe


def job(pipe: Pipeline, *texts: str) -> Job:
    inputs = [pipe.definition.Input(text=text) for text in texts]  # type: ignore[call-arg]
    return Job(inputs, {"max_new_tokens": 2})


def test_each_request_of_a_batch_has_its_own_count(write: Pipeline) -> None:
    jobs = [job(write, LONG, "a"), job(write, "a", "the"), job(write, LONG, LONG)]
    found = Batch([Share(one, one.inputs) for one in jobs]).run(write)
    assert [short.messages() for _, short in found] == [[f"A text {TOLD}"], [], [f"2 texts {TOLD}"]]


def test_the_answer_over_http_says_which_texts_are_not_whole(
    write: Pipeline, connect: Callable[[FastAPI], httpx.Client]
) -> None:
    host = PluginHost.discover(only={"summarization"})
    app = create_app(host, models={"shorten": write}, only=True, max_batch=2)

    def told(inputs: Any, **body: Any) -> httpx.Response:
        sent = {"inputs": inputs, "parameters": {"max_new_tokens": 2}, **body}
        return connect(app).post("/models/shorten", json=sent)

    answer = told([LONG, "a", LONG, "the", LONG], warnings=True)
    assert answer.json()["warnings"] == [f"3 texts {TOLD}"]
    assert json.loads(answer.headers[WARNINGS_HEADER]) == [f"3 texts {TOLD}"]
    assert told("a", warnings=True).json()["warnings"] == []
    assert WARNINGS_HEADER not in told("a").headers


def test_a_warning_of_the_model_is_in_the_answer(
    tmp_path: Path, connect: Callable[[FastAPI], httpx.Client]
) -> None:
    made = tiny_word_filler(tmp_path)
    host = PluginHost.discover(only={"fill-mask"})
    app = create_app(host, models={"fill": made}, task="fill-mask", only=True)
    sent = {"inputs": "a [MASK]", "parameters": {"targets": ["city", "nowhere"]}, "warnings": True}
    with pytest.warns(UserWarning, match="nowhere"):
        answer = connect(app).post("/models/fill", json=sent)
    [notice] = answer.json()["warnings"]
    assert "'nowhere' is not a single token" in notice


def test_generation_says_so_where_the_context_ends(
    tmp_path: Path, connect: Callable[[FastAPI], httpx.Client]
) -> None:
    made = tiny_text_generator(tmp_path, max_length=8)
    host = PluginHost.discover(only={"generation"})
    app = create_app(host, models={"tell": made}, task="generation", only=True)
    sent = {"inputs": "once upon a", "parameters": {"max_new_tokens": 20, "do_sample": False}}
    answer = connect(app).post("/models/tell", json=sent)
    assert "context of 8 tokens" in answer.headers[WARNINGS_HEADER]

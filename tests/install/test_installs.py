"""A task installs into an empty environment: small, without torch, and works from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

pytestmark = pytest.mark.install

MEGABYTE = 1_000_000


ASK = ("nlplug", "run", "sentiment", "I loved it")


@dataclass(frozen=True)
class Growth:
    """An environment that grew package by package, and what it said on the way.

    Attributes:
        environment: ``nlplug[cpu]`` and ``nlplug-sentiment``, nothing else.
        listed, asked_core: Core alone lists its plugins, and is asked for a sentiment.
        asked_without_runtime: The plugin is there, but no ONNX Runtime.
    """

    environment: Any
    listed: CompletedProcess[str]
    asked_core: CompletedProcess[str]
    asked_without_runtime: CompletedProcess[str]


@pytest.fixture(scope="module")
def growth(make_environment: Callable[[], Any], wheels: dict[str, Path]) -> Growth:
    environment = make_environment()
    core, plugin = wheels["nlplug"], wheels["nlplug-sentiment"]
    environment.install(str(core))
    listed, asked_core = environment.run("nlplug", "plugins", "list"), environment.run(*ASK)
    environment.install(str(plugin))
    asked_without_runtime = environment.run(*ASK)
    environment.install(f"{core}[cpu]", str(plugin), compiled=True)  # its size is a test
    return Growth(environment, listed, asked_core, asked_without_runtime)


@pytest.fixture(scope="module")
def environment(growth: Growth) -> Any:
    return growth.environment


def test_it_is_under_300_megabytes(environment: Any) -> None:
    files = [path for path in environment.site_packages.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300 * MEGABYTE


def test_it_holds_neither_training_libraries_nor_the_ui(environment: Any) -> None:
    unwanted = {"torch", "transformers", "optimum", "datasets", "gradio", "nlplug-webui"}
    assert not environment.packages() & unwanted


def test_the_command_answers_with_the_embedded_model(environment: Any) -> None:
    done = environment.run(*ASK)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] == "positive"


def test_python_answers_with_the_embedded_model_and_loads_what_it_needs(
    environment: Any,
) -> None:
    code = (
        "import sys; from nlplug import pipeline; answer = pipeline('sentiment')('I loved it');"
        "print(answer[0]['label'], *{'torch', 'asyncio'} & {*sys.modules})"
    )
    done = environment.run("python", "-c", code)
    assert (done.stdout.split(), done.returncode) == (["positive"], 0), done.stderr


def test_its_texts_stay_on_the_machine(environment: Any) -> None:
    """The first answer of a fresh install opens no connection at all."""
    code = (
        "import socket, sys\n"
        "def refuse(*args): raise SystemExit(f'connected to {args}')\n"
        "sys.addaudithook(lambda event, args: refuse(args) if event in"
        " ('socket.connect', 'socket.getaddrinfo') else None)\n"
        "from nlplug import pipeline\n"
        "print(pipeline('sentiment')('I hated it')[0]['label'])"
    )
    done = environment.run("python", "-c", code)
    assert (done.stdout.split(), done.returncode) == (["negative"], 0), done.stderr


def test_without_any_onnx_runtime_the_error_says_which_extra(growth: Growth) -> None:
    done = growth.asked_without_runtime
    assert done.returncode == 3, done.stdout + done.stderr
    assert "onnxruntime" in done.stderr
    assert "nlplug[cpu]" in done.stderr
    assert "Traceback" not in done.stderr


def test_core_alone_has_no_task_and_says_so(growth: Growth) -> None:
    assert growth.listed.returncode == 0
    done = growth.asked_core
    assert done.returncode == 2, done.stdout + done.stderr
    assert "sentiment" in done.stderr
    assert "Traceback" not in done.stderr

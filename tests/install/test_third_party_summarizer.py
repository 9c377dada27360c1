"""The summarization plugin that docs/translation.md shows, from a wheel of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docrunner import ROOT, blocks

from nlplug.testing import tiny_translator

pytestmark = pytest.mark.install

PAGE = ROOT / "docs" / "translation.md"
WORDS = {"the": "", "was": "", "closed": "shut", "bridge": "bridge"}
SHORT = "bridge shut"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the two files that the page shows."""
    source = tmp_path_factory.mktemp("nlplug-summarization")
    for block in blocks(PAGE):
        if block.file:
            (source / Path(block.file).name).write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"),
            *("--no-build-isolation", "-w", str(source / "dist"), str(source)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next((source / "dist").glob("nlplug_summarization-0.1.0-*.whl"))


@pytest.fixture(scope="module")
def environment(make_environment: Callable[[], Any], wheels: dict[str, Path], wheel: Path) -> Any:
    """``nlplug[cpu]`` and the plugin of somebody else, nothing else."""
    environment = make_environment()
    environment.install(f"{wheels['nlplug']}[cpu]", str(wheel))
    return environment


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leaves out what is no news; says of summaries that they begin with a word."""
    told = {"task_specific_params": {"summarization": {"prefix": "the ", "max_length": 60}}}
    return tiny_translator(tmp_path_factory.mktemp("writer"), WORDS, config=told).path


def test_the_plugin_has_about_15_lines_of_its_own() -> None:
    (module,) = (block.text for block in blocks(PAGE) if str(block.file).endswith(".py"))
    assert len([line for line in module.splitlines() if line.strip()]) <= 15


def test_it_passes_the_checks_that_every_plugin_is_held_to(environment: Any) -> None:
    done = environment.run("nlplug", "plugins", "check", "summarization")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed: 1 plugin." in done.stdout


def test_its_command_writes_and_a_text_without_words_is_refused(
    environment: Any, writer: Path
) -> None:
    command = ("nlplug", "run", "summarization", "--model", str(writer))
    done = environment.run(*command, "the bridge was closed", "--num-beams", "1")
    assert done.returncode == 0, done.stderr
    assert SHORT in done.stdout
    refused = environment.run(*command, " ")
    assert refused.returncode == 2
    assert "The text is empty." in refused.stderr


def test_in_python_it_answers_and_streams_and_loads_no_training_library(
    environment: Any, writer: Path
) -> None:
    code = (
        "import json, sys; from nlplug import pipeline;"
        f"write = pipeline('summarization', model={str(writer)!r});"
        "text = 'the bridge was closed';"
        "made = [write(text), write([text] * 100)[99], ''.join(write.stream(text))];"
        "print(json.dumps([*made, write.defaults['max_new_tokens'], 'torch' in sys.modules]))"
    )
    done = environment.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    answer = {"summary_text": SHORT}
    assert json.loads(done.stdout) == [[answer], answer, SHORT, 59, False]

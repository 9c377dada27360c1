"""The plugins of others that the pages show, each from a wheel of its own in an empty environment.

A part-of-speech tagger (docs/plugins.md) and a summarizer (docs/translation.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docrunner import ROOT, blocks

from nlplug.testing import tiny_token_classifier, tiny_translator

pytestmark = pytest.mark.install

TAGGER = ROOT / "docs" / "plugins.md"
SUMMARIZER = ROOT / "docs" / "translation.md"
TAGGED = {"the": (9, 0, 0), "cat": (0, 9, 0), "sleep": (0, 1, 5), "##s": (0, 0, 5)}
WRITTEN = {"the": "", "was": "", "closed": "shut", "bridge": "bridge"}


def module_of(page: Path, name: str) -> str:
    """The module of a plugin that a page shows."""
    shown = [block for block in blocks(page) if str(block.file).endswith(name)]
    return shown[0].text


@pytest.fixture(scope="module")
def environment(
    make_environment: Callable[[], Any],
    build_wheel: Callable[[Path], Path],
    wheels: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """``nlplug[cpu]`` and the two plugins of somebody else, nothing else."""
    tagger = tmp_path_factory.mktemp("nlplug-pos")
    shown = {block.file: block.text for block in blocks(TAGGER) if block.file}
    (tagger / "nlplug_pos.py").write_text(shown["pos/nlplug_pos.py"], encoding="utf-8")
    # The page shows one pyproject.toml; this plugin's has other names.
    project = shown["emotion/pyproject.toml"].replace("emotion", "pos")
    (tagger / "pyproject.toml").write_text(project, encoding="utf-8")
    summarizer = tmp_path_factory.mktemp("nlplug-summarization")
    for block in blocks(SUMMARIZER):
        if block.file:
            (summarizer / Path(block.file).name).write_text(block.text, encoding="utf-8")
    environment = make_environment()
    built = [str(build_wheel(source)) for source in (tagger, summarizer)]
    environment.install(f"{wheels['nlplug']}[cpu]", *built)
    return environment


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    return tiny_token_classifier(folder, TAGGED, labels=("DET", "NOUN", "VERB")).path


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leaves out what is no news; says of summaries that they begin with a word."""
    told = {"task_specific_params": {"summarization": {"prefix": "the ", "max_length": 60}}}
    return tiny_translator(tmp_path_factory.mktemp("writer"), WRITTEN, config=told).path


@pytest.mark.parametrize(
    ("page", "name", "most"),
    [(TAGGER, "nlplug_pos.py", 12), (SUMMARIZER, "nlplug_summarization.py", 15)],
)
def test_a_plugin_is_a_few_lines(page: Path, name: str, most: int) -> None:
    assert len([line for line in module_of(page, name).splitlines() if line.strip()]) <= most


@pytest.mark.parametrize("name", ["pos", "summarization"])
def test_it_passes_the_checks_that_every_plugin_is_held_to(environment: Any, name: str) -> None:
    done = environment.run("nlplug", "plugins", "check", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed: 1 plugin." in done.stdout


def test_the_command_of_the_tagger_labels_each_word(environment: Any, tagger: Path) -> None:
    done = environment.run("nlplug", "run", "pos", "--model", str(tagger), "The cat sleeps")
    assert done.returncode == 0, done.stderr
    assert [(word["word"], word["entity"]) for word in json.loads(done.stdout)] == [
        ("The", "DET"),
        ("cat", "NOUN"),
        ("sleeps", "VERB"),
    ]


def test_the_tagger_is_a_call_in_python_that_loads_no_training_library(
    environment: Any, tagger: Path
) -> None:
    code = (
        "import sys; from nlplug import pipeline;"
        f"words = pipeline('pos', model={str(tagger)!r})('the cat ' * 20_000);"
        "print(len(words), words[-1]['start'], 'torch' in sys.modules)"
    )
    done = environment.run("python", "-c", code)
    assert done.stdout.split() == ["40000", "159996", "False"], done.stderr


def test_the_command_of_the_summarizer_writes_and_a_text_without_words_is_refused(
    environment: Any, writer: Path
) -> None:
    command = ("nlplug", "run", "summarization", "--model", str(writer))
    done = environment.run(*command, "the bridge was closed", "--num-beams", "1")
    assert done.returncode == 0, done.stderr
    assert "bridge shut" in done.stdout
    refused = environment.run(*command, " ")
    assert refused.returncode == 2
    assert "It is empty" in refused.stderr


def test_the_summarizer_answers_and_streams_and_loads_no_training_library(
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
    answer = {"summary_text": "bridge shut"}
    assert json.loads(done.stdout) == [[answer], answer, "bridge shut", 59, False]

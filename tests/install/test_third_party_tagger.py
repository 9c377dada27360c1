"""The part-of-speech plugin that docs/plugins.md shows, from a wheel of its own, as others ship."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docrunner import ROOT, blocks

from nlplug.testing import tiny_token_classifier

pytestmark = pytest.mark.install

PAGE = ROOT / "docs" / "plugins.md"
WORDS = {"the": (9, 0, 0), "cat": (0, 9, 0), "sleep": (0, 1, 5), "##s": (0, 0, 5)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what the page shows: the module, and the pyproject.toml with other names."""
    shown = {block.file: block.text for block in blocks(PAGE) if block.file}
    source = tmp_path_factory.mktemp("nlplug-pos")
    (source / "nlplug_pos.py").write_text(shown["pos/nlplug_pos.py"], encoding="utf-8")
    project = shown["emotion/pyproject.toml"].replace("emotion", "pos")
    (source / "pyproject.toml").write_text(project, encoding="utf-8")
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
    return next((source / "dist").glob("nlplug_pos-0.1.0-*.whl"))


@pytest.fixture(scope="module")
def environment(make_environment: Callable[[], Any], wheels: dict[str, Path], wheel: Path) -> Any:
    """``nlplug[cpu]`` and the plugin of somebody else, nothing else."""
    environment = make_environment()
    environment.install(f"{wheels['nlplug']}[cpu]", str(wheel))
    return environment


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    return tiny_token_classifier(folder, WORDS, labels=("DET", "NOUN", "VERB")).path


def test_the_plugin_has_about_ten_lines_of_its_own() -> None:
    (module,) = (block.text for block in blocks(PAGE) if block.file == "pos/nlplug_pos.py")
    assert len([line for line in module.splitlines() if line.strip()]) <= 12


def test_it_passes_the_checks_that_every_plugin_is_held_to(environment: Any) -> None:
    done = environment.run("nlplug", "plugins", "check", "pos")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed: 1 plugin." in done.stdout


def test_its_command_labels_each_word(environment: Any, tagger: Path) -> None:
    done = environment.run("nlplug", "run", "pos", "--model", str(tagger), "The cat sleeps")
    assert done.returncode == 0, done.stderr
    assert [(word["word"], word["entity"]) for word in json.loads(done.stdout)] == [
        ("The", "DET"),
        ("cat", "NOUN"),
        ("sleeps", "VERB"),
    ]


def test_it_is_a_call_in_python_that_loads_no_training_library(
    environment: Any, tagger: Path
) -> None:
    code = (
        "import sys; from nlplug import pipeline;"
        f"words = pipeline('pos', model={str(tagger)!r})('the cat ' * 20_000);"
        "print(len(words), words[-1]['start'], 'torch' in sys.modules)"
    )
    done = environment.run("python", "-c", code)
    assert done.stdout.split() == ["40000", "159996", "False"], done.stderr

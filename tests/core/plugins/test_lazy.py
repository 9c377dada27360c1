"""One command imports only what it needs, shown by the modules of a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_zoo import environment, install_zoo

ZOO = ("zoo_tone", "zoo_import", "zoo_misspelt", "zoo_signature", "zoo_raising", "zoo_other_tone")
HEAVY = ("numpy", "onnxruntime", "tokenizers", "pydantic", "huggingface_hub", "torch", "gradio")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_zoo(tmp_path_factory.mktemp("zoo"))


def imported(site: Path, *arguments: str) -> set[str]:
    """The modules of a process that ran this command line."""
    script = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n"
        "from nlplug.cli.main import main\n"
        f"main({list(arguments)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("plugins", "--help"),
        ("plugins", "list"),
        ("plugins", "freeze"),
        ("--version",),
    ],
    ids=" ".join,
)
def test_looking_around_imports_no_plugin_and_nothing_heavy(
    site: Path, arguments: tuple[str, ...]
) -> None:
    modules = imported(site, *arguments)

    assert not modules & {*ZOO, *HEAVY}


def test_help_imports_no_command(site: Path) -> None:
    commands = {name for name in imported(site, "--help") if name.startswith("nlplug.cli.")}

    every = ("main", "_context", "_signals", "_stdout")
    assert commands == {f"nlplug.cli.{name}" for name in every}


@pytest.mark.parametrize("arguments", [("run", "tone", "good"), ("run", "tone", "--help")])
def test_running_a_task_imports_its_plugin_and_no_other(
    site: Path, arguments: tuple[str, ...]
) -> None:
    modules = imported(site, *arguments)

    assert modules & set(ZOO) == {"zoo_tone"}
    assert not modules & {"torch", "transformers", "gradio", "nlplug_sentiment", "nlplug_webui"}


def test_help_names_tasks_and_commands_of_plugins(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlplug", "--help"],
        env=environment(site),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert "tone" in done.stdout.split("Tasks:")[1]
    assert "[nlplug-tone 1.0]" in " ".join(done.stdout.split())
    assert "another-tone" not in done.stdout

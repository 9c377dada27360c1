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


def test_answering_a_text_imports_nothing_for_files_explanations_and_views_inside(
    site: Path,
) -> None:
    modules = imported(site, "run", "tone", "good")

    assert "nlplug.data.formats" in modules
    files = {f"nlplug.data.{name}" for name in ("readers", "writers", "conll", "excel", "table")}
    assert not modules & files
    assert not modules & {"nlplug.explanations.run", "nlplug.inside.result"}


_WATCHED = """
import atexit, gc, json, os, sys

collections = []

def watch(phase, info):
    for name in ("nlplug.cli.run", "zoo_tone"):
        if name in sys.modules and getattr(sys.modules[name].__spec__, "_initializing", False):
            collections.append(name)

def end():
    gc.callbacks.remove(watch)
    spinning = os.environ.get("OPENBLAS_THREAD_TIMEOUT")
    state = [collections, gc.isenabled(), gc.get_freeze_count(), spinning]
    print(json.dumps(state), file=sys.stderr)

gc.callbacks.append(watch)
atexit.register(end)
from nlplug.cli.main import main
main(["run", "tone", "good"])
"""


@pytest.mark.parametrize("timeout", [None, "9"])
def test_the_command_looks_for_no_garbage_at_its_start_and_its_end(
    site: Path, timeout: str | None
) -> None:
    given = {} if timeout is None else {"OPENBLAS_THREAD_TIMEOUT": timeout}
    inherited = environment(site)
    inherited.pop("OPENBLAS_THREAD_TIMEOUT", None)
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED],
        env=inherited | given,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    collections, enabled, frozen, spinning = json.loads(done.stderr.splitlines()[-1])
    assert collections == []
    assert enabled
    assert frozen > 10_000  # which the interpreter does not look through when it exits
    assert spinning == (timeout or "4")


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

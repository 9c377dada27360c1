"""From nothing to an installed plugin and back, with the commands that the tutorial names.

In an environment of its own, whose packages are those of the one that runs the tests.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from environment_kit import Environment, make_environment


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("tutorial"))


@pytest.fixture(scope="module")
def installed(bare: Environment) -> Environment:
    bare.nlplug("plugins", "new", "mytask")
    told = bare.nlplug("plugins", "install", "nlplug-mytask")
    assert "Installed mytask (nlplug-mytask 0.1.0)" in told
    return bare


def test_the_package_passes_check(installed: Environment) -> None:
    assert "FAIL" not in installed.nlplug("plugins", "check", "mytask")


def test_the_package_passes_its_own_tests(installed: Environment) -> None:
    told = installed.run("-m", "pytest", "-q", folder=installed.folder / "nlplug-mytask")

    assert re.search(r"\b3 passed", told)


def test_it_is_listed_and_pinned(installed: Environment) -> None:
    records = json.loads(installed.nlplug("plugins", "list", "--json"))
    pinned = installed.nlplug("plugins", "freeze").splitlines()

    assert ("mytask", "nlplug-mytask") in [(r["name"], r["dist"]) for r in records]
    assert f"nlplug-mytask @ file://{installed.folder.resolve()}/nlplug-mytask" in pinned


def test_it_answers_in_python(installed: Environment) -> None:
    script = "from nlplug import pipeline; print(pipeline('mytask')('a good day')[0]['label'])"

    assert installed.run("-c", script) == "positive\n"


def test_it_answers_on_the_command_line(installed: Environment) -> None:
    answer = json.loads(installed.nlplug("run", "mytask", "a terrible delay"))

    assert answer["label"] == "negative"
    assert "mytask" in installed.nlplug("--help")


@pytest.fixture(scope="module")
def served(installed: Environment) -> list[str]:
    """What the HTTP API answers, and the page of the UI, from ``nlplug webui``'s app."""
    script = """
import json
from nlplug_webui.serving import make_app
from starlette.testclient import TestClient

with TestClient(make_app(tasks=["mytask"])) as client:
    answer = client.post("/models/mytask", json={"inputs": "a good day"})
    print(json.dumps([answer.text, client.get("/mytask").text]))
"""
    texts: list[str] = json.loads(installed.run("-c", script).splitlines()[-1])
    return texts


def test_it_answers_over_http(served: list[str]) -> None:
    assert '"positive"' in served[0]


def test_it_has_a_page_in_the_ui(served: list[str]) -> None:
    assert "What a good day, thank you for the wonderful help!" in served[1]


def test_a_wheel_has_the_model_and_can_be_checked(
    installed: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wheels = tmp_path_factory.mktemp("wheels")
    source = installed.folder / "nlplug-mytask"
    # Where git ignores models, the wheel has them all the same.
    (source / ".gitignore").write_text("*.onnx\nmodel/\n", encoding="utf-8")
    build = ("-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(source))
    installed.run(*build)
    (wheel,) = wheels.iterdir()

    assert "answers its examples" in installed.nlplug("plugins", "check", str(wheel))


def test_a_broken_one_can_be_removed(bare: Environment) -> None:
    bare.nlplug("plugins", "new", "gone")
    bare.nlplug("plugins", "install", "-e", "./nlplug-gone")
    (bare.folder / "nlplug-gone" / "nlplug_gone" / "plugin.py").unlink()
    bare.nlplug("run", "gone", "text", code=4)

    bare.nlplug("plugins", "uninstall", "-y", "gone")

    assert "gone" not in bare.nlplug("plugins", "list")


def test_a_plugin_that_does_not_exist_is_a_clear_error(bare: Environment) -> None:
    bare.nlplug("plugins", "install", "there-is-no-such-plugin", code=4)


def test_the_environment_is_not_the_one_that_runs_the_tests(bare: Environment) -> None:
    prefix = bare.run("-c", "import sys; print(sys.prefix)").strip()

    assert Path(prefix) == bare.folder / "env" != Path(sys.prefix)

"""A whole new family from somebody else's wheel: docs/families.md, built and used as a user would.

Nothing of nlplug knows text regression; the wheel brings task, training, scoring and gate metric.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docrunner import ROOT, blocks
from training_kit import untrained_bert

pytestmark = [pytest.mark.install, pytest.mark.train]

PAGE = ROOT / "docs" / "families.md"
EASY = ("cat", "dog", "sun", "run")
HARD = ("heretofore", "ontology", "jurisdiction", "perpendicular")

SERVED = """
import json
from fastapi.testclient import TestClient
from nlplug import PluginHost
from nlplug.server import create_app
from nlplug_webui.serving import make_app

app = create_app(PluginHost.discover(), models={{"easy": {model!r}}})
with TestClient(app) as client:
    answer = client.post("/models/easy", json={{"inputs": "cat dog"}}).json()
    described = client.get("/openapi.json").json()
with TestClient(make_app(tasks=["readability"])) as client:
    page = client.get("/readability", headers={{"Accept": "text/html"}})
print(json.dumps([answer, "Readability" in json.dumps(described), "Readability" in page.text]))
"""


@pytest.fixture(scope="module")
def wheel(build_wheel: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for block in blocks(PAGE):
        if block.file:
            path = source / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    (source / "readability" / "nlplug_readability" / "__init__.py").touch()
    return build_wheel(source / "readability")


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content alone, beside the environment that can train."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(folder), str(wheel)], check=True)
    return folder


@pytest.fixture(scope="module")
def nlplug(site: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, *command],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def rows(count: int) -> list[dict[str, Any]]:
    """Texts of easy and hard words; the value is the share of easy ones."""
    chance = random.Random(1)
    found = []
    for _ in range(count):
        words = [chance.choice(chance.choice((EASY, HARD))) for _ in range(8)]
        found.append({"text": " ".join(words), "value": sum(w in EASY for w in words) / 8})
    return found


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dev") / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(40)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(nlplug: Callable[..., Any], dev: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained, exported and passed by the gate, by the command."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "base").mkdir()
    base = untrained_bert(folder / "base", [*EASY, *HARD])
    data = folder / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows(200)), encoding="utf-8")
    more = "--epochs 12 --batch-size 16 --learning-rate 0.005 --budget 0.05 --device cpu"
    nlplug(
        *("-m", "nlplug", "train", "readability", "--base", str(base), *more.split()),
        *("--data", str(data), "--eval", str(dev), "--output", str(folder / "easy")),
    )
    return folder / "easy"


def test_the_checks_of_a_plugin_pass(nlplug: Callable[..., Any]) -> None:
    done = nlplug("-m", "nlplug", "plugins", "check", "readability")
    assert "All checks passed" in done.stdout


def test_the_gate_measures_the_metric_of_the_family(model: Path) -> None:
    manifest = json.loads((model / "nlplug.json").read_text(encoding="utf-8"))
    assert set(manifest["precisions"]) == {"fp32", "int8"}
    assert manifest["labels"] == []
    errors = [
        record["metrics"]["mean_absolute_error"] for record in manifest["precisions"].values()
    ]
    assert max(errors) < 0.1  # always saying one half would be wrong by 0.15


def test_training_kept_the_score_that_evaluation_finds(
    nlplug: Callable[..., Any], model: Path
) -> None:
    # The other half of the evaluation rows is for the gate.
    chosen = model.parent / "easy.training" / "eval.jsonl.gz"
    command = ["-m", "nlplug", "evaluate", str(model), "--data", str(chosen), "--format", "json"]
    report = json.loads(nlplug(*command, "--precision", "fp32").stdout)
    run = json.loads((model.parent / "easy.training" / "run.json").read_text(encoding="utf-8"))
    assert report["metric"] == "mean_absolute_error"
    assert run["scores"]["mean_absolute_error"] == pytest.approx(
        report["mean_absolute_error"], abs=1e-6
    )


def test_it_answers_over_http_and_has_a_page(nlplug: Callable[..., Any], model: Path) -> None:
    done = nlplug("-c", SERVED.format(model=str(model)))
    answer, described, page = json.loads(done.stdout.splitlines()[-1])
    assert answer["value"] > 0.7
    assert described
    assert page


def test_without_torch_it_is_a_command_and_a_call(
    make_environment: Callable[[], Any], wheels: dict[str, Path], wheel: Path, model: Path
) -> None:
    environment = make_environment()
    environment.install(f"{wheels['nlplug']}[cpu]", str(wheel))
    command = ("nlplug", "run", "readability", "--model", str(model))
    done = environment.run(*command, "cat sun dog", "ontology heretofore")
    assert done.returncode == 0, done.stderr
    easy, hard = (json.loads(line)["value"] for line in done.stdout.splitlines())
    assert easy > 0.7 > 0.3 > hard
    code = (
        f"import sys; from nlplug import pipeline; ask = pipeline('readability', {str(model)!r});"
        "print(ask('cat ' * 2000)['value'] > 0.7, 'torch' in sys.modules)"
    )
    assert environment.run("python", "-c", code).stdout.split() == ["True", "False"]

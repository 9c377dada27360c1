"""``nlplug models``: what each command prints, asks and leaves behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hub_stand_in import HubStandIn
from plugin_zoo import install

from nlplug.cli.main import main
from nlplug.models.bundle import Bundle
from nlplug.models.resolve import resolve

WriteBundle = Callable[..., Bundle]


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["models", *arguments], input=typed)


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def packaged(write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A model that an installed package embeds; no other plugin is seen."""
    bundle = write_bundle(tmp_path / "site" / "bundle", name="embedded", task="tone")
    source = (
        "from pathlib import Path\nfrom nlplug import ModelSpec, hookimpl\n\n@hookimpl\n"
        "def register_models():\n"
        "    folder = Path(__file__).parent / 'bundle'\n"
        "    return [\n"
        "        ModelSpec(name='embedded-tiny', task='tone', path=folder, license='MIT'),\n"
        "        ModelSpec(name='far-away', task='tone', hub_id='acme/tiny', size=5_000_000),\n"
        "    ]\n"
    )
    install(
        tmp_path / "site",
        dist="tiny-models",
        modules={"tiny_models": source},
        plugins={"tiny-models": "tiny_models"},
        kinds={"tiny-models": "models"},
    )
    monkeypatch.delitem(sys.modules, "tiny_models", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("NLPLUG_PLUGINS", "tiny-models")
    return bundle


def test_list_shows_packaged_cached_and_recommended_models(
    packaged: Bundle, hub: HubStandIn
) -> None:
    before = {entry["name"]: entry for entry in answer("list")}
    assert before["far-away"]["where"] == "hub"
    assert before["far-away"]["size"] == 5_000_000
    resolve("acme/tiny@main")
    listed = {entry["name"]: entry for entry in answer("list")}
    assert sorted(listed) == ["acme/tiny@main", "embedded-tiny", "far-away"]
    embedded = listed["embedded-tiny"]
    assert embedded["where"] == "package"
    assert embedded["dist"] == "tiny-models"
    assert embedded["precisions"] == ["fp32", "int8"]
    assert embedded["license"] == "MIT"
    assert embedded["size"] == packaged.manifest.size  # type: ignore[union-attr]
    assert listed["acme/tiny@main"]["where"] == "cache"
    assert listed["acme/tiny@main"]["license"] == "mit"


def test_a_recommended_model_that_was_fetched_is_listed_once(
    packaged: Bundle, hub: HubStandIn
) -> None:
    resolve("far-away")
    listed = {entry["name"]: entry for entry in answer("list")}
    assert sorted(listed) == ["embedded-tiny", "far-away"]
    assert listed["far-away"]["where"] == "cache"


def test_list_in_words(packaged: Bundle) -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "TASK", "PRECISIONS", "SIZE", "LICENCE", "WHERE"]
    assert "embedded-tiny  tone  fp32, int8" in lines[1]
    assert lines[1].endswith("package tiny-models")
    assert "Hub acme/tiny, not downloaded" in lines[2]


def test_list_of_one_task(packaged: Bundle) -> None:
    assert answer("list", "--task", "other") == []
    assert len(answer("list", "--task", "tone")) == 2


def test_list_names_what_is_broken(packaged: Bundle) -> None:
    packaged.onnx_file("int8").unlink()
    assert "BROKEN" in run("list").stdout
    broken = next(entry for entry in answer("list") if entry["name"] == "embedded-tiny")
    assert "model_int8.onnx is missing" in broken["error"]


def test_info_shows_the_manifest(packaged: Bundle) -> None:
    shown = answer("info", "embedded-tiny")
    assert shown["manifest"]["license"] == "Apache-2.0"
    assert shown["labels"] == ["negative", "positive"]
    words = run("info", "embedded-tiny").stdout
    assert "accuracy 0.9" in words
    assert "onnx/model_int8.onnx" in words
    assert "32 tokens" in words


def test_info_of_a_plain_folder(hub_layout: Path) -> None:
    assert answer("info", str(hub_layout))["manifest"] is None
    assert "without digests" in run("info", str(hub_layout)).stdout


def test_info_fetches_nothing(hub: HubStandIn, packaged: Bundle) -> None:
    result = run("info", "acme/tiny")
    assert result.exit_code == 5
    assert "nlplug models pull acme/tiny" in result.stderr
    assert hub.requests == []


def test_pull_fetches_what_is_asked_for(hub: HubStandIn, packaged: Bundle) -> None:
    pulled = answer("pull", "acme/tiny", "--precision", "int8", "-p", "fp16")
    assert pulled["precisions"] == ["fp16", "int8"]
    assert Bundle.open(Path(pulled["path"]), verify=True).name == "acme/tiny"


def test_pull_by_a_packaged_name_and_a_revision(hub: HubStandIn, packaged: Bundle) -> None:
    assert answer("pull", "far-away", "--revision", "main")["name"] == "acme/tiny@main"


def test_pull_of_an_embedded_model_says_it_is_here(packaged: Bundle) -> None:
    result = run("pull", "embedded-tiny")
    assert result.exit_code == 2
    assert "is a model on this machine, not on the Hub" in result.stderr


def test_pull_offline_fails_with_the_reason(
    hub: HubStandIn, packaged: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_OFFLINE", "1")
    result = run("pull", "acme/tiny")
    assert result.exit_code == 5
    assert "NLPLUG_OFFLINE" in result.stderr
    assert hub.requests == []


def test_verify_names_the_broken_and_goes_on(packaged: Bundle, hub: HubStandIn) -> None:
    resolve("acme/tiny")
    file = packaged.onnx_file("int8")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    result = run("verify")
    assert result.exit_code == 6
    assert "BROKEN  embedded-tiny: " in result.stdout
    assert "ok      far-away" in result.stdout
    results = json.loads(run("verify", "--json").stdout)
    assert [one["ok"] for one in results] == [False, True]


def test_verify_of_whole_models_succeeds(packaged: Bundle, hub_layout: Path) -> None:
    assert run("verify").exit_code == 0
    result = run("verify", "embedded-tiny", str(hub_layout))
    assert result.exit_code == 0
    assert "no manifest" in result.stdout


def test_remove_asks_first(hub: HubStandIn, packaged: Bundle) -> None:
    folder = resolve("acme/tiny").path
    assert run("remove", "acme/tiny", typed="n\n").exit_code != 0
    assert folder.exists()
    assert run("remove", "acme/tiny", typed="y\n").exit_code == 0
    assert list(folder.parent.iterdir()) == []


def test_remove_with_yes_does_not_ask(hub: HubStandIn, packaged: Bundle) -> None:
    folder = resolve("acme/tiny@main").path
    assert answer("remove", "acme/tiny", "--revision", "main", "--yes")["path"] == str(folder)
    assert not folder.exists()


def test_remove_works_on_a_broken_one(hub: HubStandIn, packaged: Bundle) -> None:
    folder = resolve("acme/tiny").path
    (folder / "nlplug.json").write_text("{")
    assert run("remove", "acme/tiny", "--yes").exit_code == 0
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["packaged", "folder"])
def test_remove_never_touches_what_is_not_in_the_cache(packaged: Bundle, kind: str) -> None:
    name = "embedded-tiny" if kind == "packaged" else str(packaged.path)
    result = run("remove", name, "--yes")
    assert result.exit_code == 2
    assert "pip uninstall" in result.stderr
    packaged.verify()


def test_remove_of_what_is_not_there_names_what_is(hub: HubStandIn, packaged: Bundle) -> None:
    resolve("acme/tiny@main")
    result = run("remove", "acme/tiny", "--yes")
    assert result.exit_code == 5
    assert "acme/tiny@main" in result.stderr


def test_pack_writes_a_wheel_and_says_how_to_use_it(packaged: Bundle, tmp_path: Path) -> None:
    result = run("pack", "embedded-tiny", "--name", "my-model", "-o", str(tmp_path / "dist"))
    assert result.exit_code == 0, result.output
    wheel = tmp_path / "dist" / "my_model-0.1.0-py3-none-any.whl"
    assert wheel.is_file()
    assert f"pip install {wheel}" in result.stdout
    assert "nlplug run tone --model my-model" in result.stdout


def test_pack_writes_sources_on_demand(packaged: Bundle, tmp_path: Path) -> None:
    packed = answer(
        "pack", "embedded-tiny", "--name", "my-model", "-o", str(tmp_path), "--folder", "-p", "int8"
    )
    assert (Path(packed["path"]) / "pyproject.toml").is_file()

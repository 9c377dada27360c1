"""A bundle packed as a Python package: installed with pip, its name works as ``model=``."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_zoo import install

from nlplug.errors import BundleCorrupt, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest
from nlplug.models.pack import PackConfig, pack_folder, pack_sdist, pack_wheel

WriteBundle = Callable[..., Bundle]

USE = """
import json, sys
from nlplug import pipeline
from nlplug.plugins import PluginHost
host = PluginHost.discover()
run = pipeline("tone", model="my-model", host=host)
print(json.dumps({
    "answer": run("good"), "path": str(run.bundle.path), "name": run.bundle.name,
    "tasks": host.task_names(), "failed": [r.cause for r in host.records() if r.cause],
}))
"""

TONE = """
from nlplug import hookimpl
from nlplug.families.sequence_classification import SequenceClassificationTask

class Tone(SequenceClassificationTask):
    name = "tone"
    title = "Tone"
    description = "Is it good?"

@hookimpl
def register_tasks():
    return [Tone()]
"""


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "trained", name="run-7", task="tone", description="Good or bad.")


def pip_install(source: Path, target: Path) -> None:
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, *command, "--disable-pip-version-check", "--target", target, source],
        check=True,
        capture_output=True,
    )


def use(site: Path) -> dict[str, object]:
    """What a fresh process makes of the installed package."""
    install(site, dist="nlplug-tone", modules={"tone": TONE}, plugins={"tone": "tone"})
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "PYTHONPATH": path, "NLPLUG_PLUGINS": "tone,my-model"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("pack", [pack_wheel, pack_sdist, pack_folder])
def test_an_installed_model_works_by_its_name(
    bundle: Bundle, tmp_path: Path, pack: Callable[[Bundle, Path, PackConfig], Path]
) -> None:
    packed = pack(bundle, tmp_path / "dist", PackConfig("my-model"))
    pip_install(packed, tmp_path / "site")
    found = use(tmp_path / "site")
    assert found["name"] == "my-model"
    assert found["path"] == str(tmp_path / "site" / "nlplug_model_my_model" / "bundle")
    assert found["answer"][0]["label"] == "positive"  # type: ignore[index]
    assert found["tasks"] == ["tone"], "the package of a model promises no task"
    assert found["failed"] == []


def test_the_packed_bundle_is_whole(bundle: Bundle, tmp_path: Path) -> None:
    wheel = pack_wheel(bundle, tmp_path, PackConfig("my-model", "1.2"))
    assert wheel.name == "my_model-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    packed = Bundle.open(tmp_path / "site" / "nlplug_model_my_model" / "bundle", verify=True)
    assert (packed.name, packed.labels) == ("my-model", ["negative", "positive"])


def test_every_file_of_the_wheel_is_recorded(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack_wheel(bundle, tmp_path, PackConfig("my-model"))) as archive:
        record = archive.read("my_model-0.1.0.dist-info/RECORD").decode()
        recorded = {}
        for line in record.splitlines():
            name, digest, size = line.rsplit(",", 2)
            recorded[name] = (digest, size)
        assert recorded.keys() == set(archive.namelist())
        for name, (digest, size) in recorded.items():
            content = archive.read(name)
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            if digest:
                assert (digest, size) == (f"sha256={found.decode()}", str(len(content)))


def test_the_same_bundle_gives_the_same_wheel(bundle: Bundle, tmp_path: Path) -> None:
    one = pack_wheel(bundle, tmp_path / "1", PackConfig("my-model"))
    two = pack_wheel(bundle, tmp_path / "2", PackConfig("my-model"))
    assert one.read_bytes() == two.read_bytes()


def test_only_the_chosen_precision_is_packed(bundle: Bundle, tmp_path: Path) -> None:
    config = PackConfig("my-model", precisions=["int8"])
    with zipfile.ZipFile(pack_wheel(bundle, tmp_path, config)) as archive:
        archive.extractall(tmp_path / "site")
    packed = Bundle.open(tmp_path / "site" / "nlplug_model_my_model" / "bundle", verify=True)
    assert list(packed.precisions) == ["int8"]
    assert not (packed.path / "onnx" / "model.onnx").exists()


def test_the_metadata_says_what_the_manifest_says(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack_wheel(bundle, tmp_path, PackConfig("my-model"))) as archive:
        text = archive.read("my_model-0.1.0.dist-info/METADATA").decode()
    assert "Summary: Good or bad." in text
    assert "License: Apache-2.0" in text
    assert "Requires-Dist: nlplug>=" in text
    assert 'pipeline("tone", model="my-model")' in text


def test_a_folder_in_the_hubs_layout_needs_its_task_named(hub_layout: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(hub_layout)
    with pytest.raises(OptionError, match="does not state its task") as caught:
        pack_wheel(bundle, tmp_path, PackConfig("my-model"))
    assert "--task" in str(caught.value.hint)
    (hub_layout / "optimizer.pt").write_bytes(b"not needed to run it")
    with zipfile.ZipFile(
        pack_wheel(bundle, tmp_path, PackConfig("my-model", task="tone", license="MIT", force=True))
    ) as archive:
        archive.extractall(tmp_path / "site")
    packed = Bundle.open(tmp_path / "site" / "nlplug_model_my_model" / "bundle", verify=True)
    assert packed.manifest is not None
    assert (packed.manifest.task, packed.manifest.license) == ("tone", "MIT")
    assert packed.max_length == 32
    assert not (packed.path / "optimizer.pt").exists()


def test_a_damaged_bundle_is_not_packed(bundle: Bundle, tmp_path: Path) -> None:
    file = bundle.onnx_file("int8")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleCorrupt):
        pack_wheel(bundle, tmp_path / "dist", PackConfig("my-model"))
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("name", ["My Model", "../x", "a/b", "", "-x", "x-", 'x"y', "x\ny"])
def test_a_name_that_cannot_be_is_refused(bundle: Bundle, tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="not a name for a packaged model"):
        pack_wheel(bundle, tmp_path, PackConfig(name))


@pytest.mark.parametrize("name", ["nlplug", "nlplug_classification", "numpy"])
def test_the_name_of_an_installed_package_is_refused(
    bundle: Bundle, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        OptionError, match="is the name of an installed package that is not a model"
    ):
        pack_wheel(bundle, tmp_path, PackConfig(name))


def test_a_version_that_cannot_be_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not a version"):
        pack_wheel(bundle, tmp_path, PackConfig("my-model", "latest"))


def test_sources_that_are_there_are_not_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    pack_folder(bundle, tmp_path, PackConfig("my-model"))
    with pytest.raises(OptionError, match="exists already"):
        pack_folder(bundle, tmp_path, PackConfig("my-model"))


@pytest.mark.parametrize("text", ['He said "no" \\ {x}', "two\nlines", "情感 é", "'''"])
def test_any_description_survives(write_bundle: WriteBundle, tmp_path: Path, text: str) -> None:
    bundle = write_bundle(tmp_path / "b", description=text, license=text)
    folder = pack_folder(bundle, tmp_path / "dist", PackConfig("my-model"))
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["description"] == " ".join(text.split())
    compile((folder / "nlplug_model_my_model" / "__init__.py").read_text(), "x", "exec")
    manifest = Manifest.read(folder / "nlplug_model_my_model" / "bundle" / "nlplug.json")
    assert manifest.description == text

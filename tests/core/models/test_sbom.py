"""The SBOM names the packages of the environment that made a model, and only of that one."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from cyclonedx.model.bom import Bom

from nlplug.cli.main import main
from nlplug.errors import BundleIncomplete, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.pack import PackConfig, pack_wheel
from nlplug.models.sbom import add_sbom

WriteBundle = Callable[..., Bundle]
HERE = {name: metadata.version(name) for name in ("numpy", "pydantic")}


def test_it_lists_every_package_and_is_part_of_the_bundle(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "b", name="tickets", task="tone", tools=HERE)
    done = CliRunner().invoke(main, ["models", "sbom", str(bundle.path), "--json"])
    assert done.exit_code == 0, done.output
    path = Path(json.loads(done.stdout)["path"])
    found = json.loads(path.read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["name"] == "tickets"
    assert found["metadata"]["component"]["type"] == "machine-learning-model"
    listed = {part["name"]: part["version"] for part in found["components"]}
    assert listed.items() >= HERE.items()
    installed = {
        one.name.lower().replace("_", "-").replace(".", "-") for one in metadata.distributions()
    }
    assert listed.keys() == installed
    sealed = Bundle.open(bundle.path, verify=True)
    with zipfile.ZipFile(pack_wheel(sealed, tmp_path, PackConfig("m"))) as archive:
        assert archive.read("nlplug_model_m/bundle/sbom.cdx.json") == path.read_bytes()


def test_it_can_be_read_and_is_the_same_each_time(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "b", tools=HERE)
    first = add_sbom(bundle).read_text()
    read = Bom.from_json(json.loads(first))
    assert {part.name for part in read.components} >= HERE.keys()
    assert add_sbom(Bundle.open(bundle.path)).read_text() == first


def test_another_environment_than_the_one_that_made_the_model_is_refused(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    tools = HERE | {"numpy": "0.1", "no-such-package": "2"}
    bundle = write_bundle(tmp_path / "b", tools=tools)
    with pytest.raises(OptionError) as raised:
        add_sbom(bundle)
    assert f"numpy 0.1 (here: {HERE['numpy']}), no-such-package 2 (here: none)" in str(raised.value)
    assert not (bundle.path / "sbom.cdx.json").exists()


def test_a_model_that_does_not_state_its_tools_is_refused(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    with pytest.raises(BundleIncomplete, match="does not state the versions"):
        add_sbom(write_bundle(tmp_path / "b"))

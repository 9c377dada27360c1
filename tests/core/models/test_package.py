"""`nlplug package`: the same bytes each time, only behind the gate, and removable."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlplug.cli.main import main
from nlplug.errors import GateRefused, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import PrecisionRecord
from nlplug.models.pack import PackConfig, pack_folder, pack_sdist, pack_wheel

WriteBundle = Callable[..., Bundle]


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "trained", name="run-7", task="tone")


@pytest.mark.parametrize("pack", [pack_wheel, pack_sdist])
@pytest.mark.parametrize("epoch", [None, "1700000000"])
def test_the_same_model_gives_the_same_bytes(
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pack: Callable[[Bundle, Path, PackConfig], Path],
    epoch: str | None,
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if epoch:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    packed = [pack(bundle, tmp_path / one, PackConfig("my-model")) for one in ("1", "2")]
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_a_folder_without_a_manifest_gives_the_same_bytes(hub_layout: Path, tmp_path: Path) -> None:
    config = PackConfig("my-model", task="tone", force=True)
    packed = [pack_wheel(Bundle.open(hub_layout), tmp_path / one, config) for one in ("1", "2")]
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_the_time_of_the_files_is_source_date_epoch(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with zipfile.ZipFile(pack_wheel(bundle, tmp_path, PackConfig("my-model"))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    with tarfile.open(pack_sdist(bundle, tmp_path, PackConfig("my-model"))) as archive:
        assert {entry.mtime for entry in archive} == {1700000000}


@pytest.mark.parametrize("epoch", ["yesterday", "-1", "99999999999"])
def test_a_time_that_cannot_be_is_refused(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    for pack in (pack_wheel, pack_sdist):
        with pytest.raises(OptionError, match=f"SOURCE_DATE_EPOCH is '{epoch}'"):
            pack(bundle, tmp_path / "dist", PackConfig("my-model"))
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_precision_that_the_gate_did_not_pass_is_refused(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    records = {
        "fp32": PrecisionRecord(file="onnx/model.onnx", metrics={"accuracy": 0.9, "loss": 0.0}),
        "int8": PrecisionRecord(file="onnx/model_int8.onnx", metrics={"accuracy": 0.9}),
    }
    bundle = write_bundle(tmp_path / "b", task="tone", precisions=records)
    dist = tmp_path / "dist"
    for pack in (pack_wheel, pack_sdist, pack_folder):
        with pytest.raises(GateRefused, match="no result of the quality gate for int8"):
            pack(bundle, dist, PackConfig("my-model"))
    assert not dist.exists()
    assert pack_wheel(bundle, dist, PackConfig("my-model", precisions=["fp32"])).is_file()
    assert pack_wheel(bundle, dist, PackConfig("my-model", force=True)).is_file()


def test_the_command_refuses_with_the_exit_code_of_the_gate(
    hub_layout: Path, tmp_path: Path
) -> None:
    command = ["package", str(hub_layout), "--name=m", "--task=tone", f"--output={tmp_path}"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == GateRefused.exit_code
    assert "--force" in refused.stderr
    done = CliRunner().invoke(main, [*command, "--force", "--sdist"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.glob("m-*")} == {
        "m-0.1.0-py3-none-any.whl",
        "m-0.1.0.tar.gz",
    }


def test_two_models_are_installed_side_by_side_and_removed_without_a_trace(
    bundle: Bundle, tmp_path: Path
) -> None:
    wheels = [pack_wheel(bundle, tmp_path, PackConfig(name)) for name in ("one", "two")]
    venv.create(tmp_path / "venv", with_pip=False, symlinks=sys.platform != "win32")
    (python,) = (
        (tmp_path / "venv").glob("*/python*[!0-9w]*")
        if sys.platform == "win32"
        else [tmp_path / "venv" / "bin" / "python"]
    )

    def pip(*arguments: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", python, *arguments]
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *quiet], check=True, capture_output=True)

    def files() -> set[Path]:
        return {path for path in (tmp_path / "venv").rglob("*") if "__pycache__" not in path.parts}

    before = files()
    pip("install", "--no-deps", "--no-index", *wheels)
    bundles = sorted(path.parent for path in files() if path.name == "nlplug.json")
    assert [path.parent.name for path in bundles] == ["nlplug_model_one", "nlplug_model_two"]
    assert [Bundle.open(path, verify=True).name for path in bundles] == ["one", "two"]
    pip("uninstall", "--yes", "one")
    Bundle.open(bundles[1], verify=True)
    pip("uninstall", "--yes", "two")
    assert files() == before

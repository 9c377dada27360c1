"""Changed, unsigned and wrongly signed models are refused, on demand and when they are loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from key_kit import KeyPair, make_keys

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.errors import (
    BundleCorrupt,
    BundleError,
    BundleIncomplete,
    BundleUntrusted,
    ModelNotFound,
    NlplugError,
    OptionError,
)
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest
from nlplug.models.pack import PackConfig, pack_sdist, pack_wheel
from nlplug.models.seal import seal
from nlplug.models.signing import check_signature, sign
from nlplug.models.trust import verify_bundle, verify_wheel

WriteBundle = Callable[..., Bundle]


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "trained", note="made by hand")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_keys(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_keys(tmp_path_factory.mktemp("keys"), "theirs")


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_changed_bit_of_any_file_is_found(bundle: Bundle) -> None:
    for path in sorted(bundle.path.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        for bit in range(0, 8 * len(content), max(1, 8 * len(content) // 7)):
            path.write_bytes(flip(content, bit))
            with pytest.raises(NlplugError):
                Bundle.open(bundle.path).verify()
        path.write_bytes(content)
    Bundle.open(bundle.path).verify()


def test_a_changed_bit_of_the_manifest_is_found(bundle: Bundle) -> None:
    path = bundle.path / "nlplug.json"
    content = path.read_bytes()
    end = 8 * (len(content) - len('"digest": ""') - 64 - 4)  # each bit of the last field
    for bit in (*range(0, end, 37), *range(end, 8 * len(content))):
        path.write_bytes(flip(content, bit))
        with pytest.raises(BundleError):
            Manifest.read_verified(path)


def test_a_manifest_of_an_earlier_release_has_no_digest(bundle: Bundle) -> None:
    path = bundle.path / "nlplug.json"
    fields = json.loads(path.read_text())
    del fields["digest"]
    path.write_text(json.dumps(fields))
    Bundle.open(bundle.path, verify=True)


def test_files_that_are_not_listed_are_found_and_can_be_accepted(bundle: Bundle) -> None:
    (bundle.path / "onnx" / "more.bin").write_bytes(b"x")
    with pytest.raises(BundleCorrupt, match="does not list: onnx/more.bin"):
        bundle.verify()
    sealed, changed = seal(bundle.path)
    assert changed == ["onnx/more.bin"]
    sealed.verify()


def test_what_a_download_of_a_repository_adds_is_no_part_of_the_model(
    bundle: Bundle, ours: KeyPair
) -> None:
    sign(bundle.path, ours.private)
    for name in (".gitattributes", ".cache/huggingface/download/x.metadata"):
        (bundle.path / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle.path / name).write_text("x")
    verify_bundle(bundle, ours.public)
    (bundle.path / ".cache" / "other").write_text("x")
    with pytest.raises(BundleCorrupt, match=r"does not list: \.cache/other"):
        verify_bundle(bundle, ours.public)


def test_a_manifest_that_was_edited_is_accepted_by_seal(bundle: Bundle) -> None:
    path = bundle.path / "nlplug.json"
    path.write_text(path.read_text().replace("Apache-2.0", "MIT"))
    with pytest.raises(BundleCorrupt, match="does not have the digest"):
        bundle.verify()
    sealed, changed = seal(bundle.path)
    assert changed == ["nlplug.json"]
    sealed.verify()
    assert sealed.manifest is not None
    assert sealed.manifest.license == "MIT"


def rewritten(wheel: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A wheel with other contents, and no other change."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return wheel


def test_a_wheel_is_compared_with_its_digests(bundle: Bundle, tmp_path: Path) -> None:
    wheel = pack_wheel(bundle, tmp_path, PackConfig("m"))
    assert verify_wheel(wheel) == ["m"]

    def changed(files: dict[str, bytes]) -> None:
        files["nlplug_model_m/__init__.py"] += b"\n"

    def added(files: dict[str, bytes]) -> None:
        files["nlplug_model_m/more.py"] = b""

    def removed(files: dict[str, bytes]) -> None:
        del files["nlplug_model_m/bundle/onnx/model.onnx"]

    messages = {
        changed: "__init__.py .* was changed",
        added: "more.py .* is not listed",
        removed: "model.onnx .* is missing",
    }
    for change, message in messages.items():
        copy = Path(shutil.copyfile(wheel, tmp_path / "copy.whl"))
        with pytest.raises(BundleCorrupt, match=message):
            verify_wheel(rewritten(copy, change))


def test_an_installed_model_keeps_the_signature_of_its_package(
    bundle: Bundle, tmp_path: Path, ours: KeyPair, theirs: KeyPair
) -> None:
    with zipfile.ZipFile(pack_wheel(bundle, tmp_path, PackConfig("m", key=ours.private))) as wheel:
        wheel.extractall(tmp_path / "site")
    installed = Bundle.open(tmp_path / "site" / "nlplug_model_m" / "bundle")
    verify_bundle(installed, ours.public)
    with pytest.raises(BundleUntrusted, match="another key"):
        verify_bundle(installed, theirs.public)
    (installed.path / "model.sig").unlink()
    with pytest.raises(BundleUntrusted, match="is not signed"):
        verify_bundle(installed, ours.public)


def test_each_changed_byte_of_a_signed_wheel_is_found(
    bundle: Bundle, tmp_path: Path, ours: KeyPair
) -> None:
    wheel = pack_wheel(bundle, tmp_path, PackConfig("m", key=ours.private))
    verify_wheel(wheel, ours.public)
    content = wheel.read_bytes()
    for bit in range(0, 8 * len(content), len(content) // 3):
        wheel.write_bytes(flip(content, bit))
        with pytest.raises(BundleUntrusted, match="changed since then: the file"):
            verify_wheel(wheel, ours.public)


def test_a_damaged_wheel_is_refused_with_an_error_of_ours_or_has_the_same_files(
    bundle: Bundle, tmp_path: Path
) -> None:
    wheel = pack_wheel(bundle, tmp_path, PackConfig("m"))
    content = wheel.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(content), 97):
        wheel.write_bytes(flip(content, bit))
        try:
            assert verify_wheel(wheel) == ["m"]
        except BundleError:
            refused += 1
    assert refused > 100
    for size in range(0, len(content), len(content) // 20):
        wheel.write_bytes(content[:size])
        with pytest.raises(BundleCorrupt):
            verify_wheel(wheel)


def test_what_is_no_wheel_with_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        verify_wheel(tmp_path / "none.whl")
    (tmp_path / "text.whl").write_text("text")
    with pytest.raises(BundleCorrupt, match="not a wheel that can be read"):
        verify_wheel(tmp_path / "text.whl")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("m-1.dist-info/RECORD", "m-1.dist-info/RECORD,,\n")
    with pytest.raises(BundleIncomplete, match="holds no model"):
        verify_wheel(tmp_path / "empty.whl")


@pytest.mark.parametrize("pack", [pack_wheel, pack_sdist])
def test_a_package_that_is_packed_again_without_a_key_keeps_no_old_signature(
    bundle: Bundle,
    tmp_path: Path,
    ours: KeyPair,
    pack: Callable[[Bundle, Path, PackConfig], Path],
) -> None:
    packed = pack(bundle, tmp_path, PackConfig("m", key=ours.private))
    check_signature(packed, ours.public)
    pack(bundle, tmp_path, PackConfig("m"))
    with pytest.raises(BundleUntrusted, match="is not signed"):
        check_signature(packed, ours.public)


def test_an_unsigned_and_a_wrongly_signed_wheel_are_refused(
    bundle: Bundle, tmp_path: Path, ours: KeyPair, theirs: KeyPair
) -> None:
    wheel = pack_wheel(bundle, tmp_path, PackConfig("m"))
    command = ["verify", str(wheel), "--key", str(ours.public)]
    unsigned = CliRunner().invoke(main, command)
    assert unsigned.exit_code == BundleUntrusted.exit_code
    assert "is not signed" in unsigned.stdout
    sign(wheel, theirs.private)
    wrong = CliRunner().invoke(main, command)
    assert wrong.exit_code == BundleUntrusted.exit_code
    assert "another key signed it" in wrong.stdout
    sign(wheel, ours.private)
    assert CliRunner().invoke(main, command).stdout == f"ok      {wheel} (signed)\n"


def test_of_a_source_distribution_the_signature_is_checked(
    bundle: Bundle, tmp_path: Path, ours: KeyPair
) -> None:
    sdist = pack_sdist(bundle, tmp_path, PackConfig("m", key=ours.private))
    command = ["verify", str(sdist), "--key", str(ours.public)]
    assert CliRunner().invoke(main, command).stdout == f"ok      {sdist} (signed)\n"
    without = CliRunner().invoke(main, command[:2])
    assert without.exit_code == OptionError.exit_code
    assert "only its signature can be checked" in without.stdout
    sdist.write_bytes(flip(sdist.read_bytes(), 4321))
    changed = CliRunner().invoke(main, command)
    assert changed.exit_code == BundleUntrusted.exit_code


def test_a_signed_bundle_stays_one_where_it_is_moved(
    bundle: Bundle, tmp_path: Path, ours: KeyPair
) -> None:
    sign(bundle.path, ours.private)
    moved = Bundle.open(bundle.path.rename(tmp_path / "moved"))
    verify_bundle(moved, ours.public)


def test_a_bundle_that_was_sealed_after_it_was_signed_is_refused(
    bundle: Bundle, ours: KeyPair
) -> None:
    sign(bundle.path, ours.private)
    (bundle.path / "NOTE").write_text("changed")
    sealed, _ = seal(bundle.path)
    sealed.verify()
    with pytest.raises(BundleUntrusted, match="changed since then: NOTE, nlplug.json"):
        verify_bundle(sealed, ours.public)


def test_a_signature_that_is_damaged_is_refused(bundle: Bundle, ours: KeyPair) -> None:
    path = sign(bundle.path, ours.private)
    for text in ("", "{}", "[]", path.read_text()[:-40]):
        path.write_text(text)
        with pytest.raises(BundleUntrusted):
            verify_bundle(bundle, ours.public)


def test_a_key_with_a_password_is_read_from_the_environment(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make_keys(tmp_path, "locked", password="open sesame")
    with pytest.raises(OptionError, match="cannot be used as private key"):
        sign(bundle.path, keys.private)
    monkeypatch.setenv("NLPLUG_SIGN_PASSWORD", "open sesame")
    sign(bundle.path, keys.private)
    verify_bundle(bundle, keys.public)


def test_a_file_that_is_no_key_is_refused(bundle: Bundle, ours: KeyPair) -> None:
    with pytest.raises(OptionError, match="cannot be used as private key"):
        sign(bundle.path, ours.public)
    sign(bundle.path, ours.private)
    with pytest.raises(OptionError, match="cannot be used as public key"):
        check_signature(bundle.path, ours.private)


def test_verification_can_be_required_when_a_model_is_loaded(
    bundle: Bundle, hub_layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bundle.onnx_file("int8")
    file.write_bytes(flip(file.read_bytes(), 40))
    pipeline("sentiment", model=bundle.path, precision="fp32").close()
    monkeypatch.setenv("NLPLUG_VERIFY", "1")
    for model in (bundle.path, Bundle.open(bundle.path)):
        with pytest.raises(BundleCorrupt, match="its sha256 differs"):
            pipeline("sentiment", model=model, precision="fp32")
    with pytest.raises(BundleIncomplete, match="cannot be verified"):
        pipeline("sentiment", model=hub_layout)


def test_a_signature_can_be_required_when_a_model_is_loaded(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, ours: KeyPair, theirs: KeyPair
) -> None:
    monkeypatch.setenv("NLPLUG_VERIFY_KEY", str(ours.public))
    with pytest.raises(BundleUntrusted, match="is not signed"):
        pipeline("sentiment", model=bundle.path)
    sign(bundle.path, theirs.private)
    with pytest.raises(BundleUntrusted, match="another key"):
        pipeline("sentiment", model=bundle.path)
    sign(bundle.path, ours.private)
    with pipeline("sentiment", model=bundle.path) as run:
        assert run("good")[0]["label"] == "positive"


def test_answering_imports_nothing_that_signs_or_encrypts(bundle: Bundle) -> None:
    code = (
        "import sys; from nlplug import pipeline\n"
        f"pipeline('sentiment', model={str(bundle.path)!r})('good')\n"
        "banned = {'model_signing', 'cryptography', 'sigstore', 'cyclonedx'}\n"
        "sys.exit(', '.join(banned & {name.split('.')[0] for name in sys.modules}) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr

"""An encrypted bundle answers with its key, from memory, and not without or with another one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleCorrupt, BundleIncomplete, BundleLocked, OptionError
from nlplug.inside.part import GraphPart
from nlplug.models import encryption
from nlplug.models.bundle import Bundle
from nlplug.models.encrypt import decrypt_bundle, encrypt_bundle
from nlplug.models.encryption import decrypted_chunks, encrypt_file, is_encrypted
from nlplug.models.graph import Graph
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.pack import PackConfig, pack_wheel
from nlplug.models.trust import verify_wheel
from nlplug.models.writer import BundleWriter
from nlplug.runtime.device import Device
from nlplug.testing import tiny_text_generator, tiny_translator

WriteBundle = Callable[..., Bundle]
KEY = "07" * 32


@pytest.fixture
def plain(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "plain")


@pytest.fixture
def locked(plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The same model encrypted, with its key in the environment."""
    monkeypatch.setenv("NLPLUG_MODEL_KEY", KEY)
    return encrypt_bundle(plain, tmp_path / "locked")


def with_manifest(source: Bundle, target: Path, task: str) -> Bundle:
    """A tiny model of the tests as a bundle with a manifest."""
    with BundleWriter(target) as writer:
        for path in source.path.rglob("*"):
            if path.is_file():
                copy = writer.folder / path.relative_to(source.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        precisions = {name: source.record(name) for name in source.precisions}
        return writer.commit(
            Manifest(name="tiny", task=task, precisions=precisions, max_length=source.max_length)
        )


def test_an_encrypted_bundle_gives_the_same_answers(plain: Bundle, locked: Bundle) -> None:
    texts = ["good", "a bad and dull film", ""]
    with (
        pipeline("sentiment", model=plain.path) as open_,
        pipeline("sentiment", model=locked.path) as closed,
    ):
        assert closed(texts[:2]) == open_(texts[:2])


@pytest.mark.parametrize("kind", ["generation", "translation"])
def test_encrypted_graphs_that_decode_give_the_same_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("NLPLUG_MODEL_KEY", KEY)
    make = {"generation": tiny_text_generator, "translation": tiny_translator}[kind]
    plain = with_manifest(make(tmp_path / "hub"), tmp_path / "plain", kind)
    locked = encrypt_bundle(plain, tmp_path / "locked")
    answers = [
        pipeline(kind, model=bundle.path)("one two", do_sample=False) for bundle in (plain, locked)
    ]
    assert answers[0] == answers[1]


def test_weights_outside_of_an_encrypted_graph_are_decrypted_too(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_MODEL_KEY", KEY)
    model = onnx.load(plain.onnx_file("fp32"))
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    with BundleWriter(tmp_path / "outside") as writer:
        (writer.folder / "onnx").mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (writer.folder / name).write_bytes((plain.path / name).read_bytes())
        onnx.save(
            model,
            writer.folder / "onnx" / "model.onnx",
            save_as_external_data=True,
            location="model.onnx_data",
            size_threshold=60,  # ONNX Runtime needs the values of small ones in the graph
        )
        record = PrecisionRecord(file="onnx/model.onnx")
        outside = writer.commit(
            Manifest(name="outside", labels=plain.labels, precisions={"fp32": record})
        )
    locked = encrypt_bundle(outside, tmp_path / "locked")
    assert is_encrypted(locked.path / "onnx" / "model.onnx_data")
    answers = [pipeline("sentiment", model=one.path)("good") for one in (plain, locked)]
    assert answers[0][0]["label"] == answers[1][0]["label"]
    assert np.isclose(answers[0][0]["score"], answers[1][0]["score"])
    graph = Graph.read(locked.onnx_file("fp32"))
    kept = GraphPart(graph, sorted(graph.weights)).run({})
    for name, weight in weights.items():
        np.testing.assert_array_equal(kept[name], weight)


def test_neither_weights_nor_vocabulary_can_be_read_without_the_key(
    plain: Bundle, locked: Bundle
) -> None:
    for name in ("onnx/model.onnx", "onnx/model_int8.onnx", "tokenizer.json"):
        content = (locked.path / name).read_bytes()
        assert is_encrypted(locked.path / name)
        assert not is_encrypted(plain.path / name)
        assert (plain.path / name).read_bytes()[16:48] not in content
    assert b"dull" not in b"".join(p.read_bytes() for p in locked.path.rglob("*") if p.is_file())


def test_listing_verifying_and_packing_need_no_key(
    locked: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLPLUG_MODEL_KEY")
    bundle = Bundle.open(locked.path, verify=True)
    assert bundle.labels == ["negative", "positive"]
    assert verify_wheel(pack_wheel(bundle, tmp_path, PackConfig("m"))) == ["m"]


def test_the_key_may_be_in_a_file(
    locked: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.delenv("NLPLUG_MODEL_KEY")
    monkeypatch.setenv("NLPLUG_MODEL_KEY_FILE", str(tmp_path / "key"))
    with pipeline("sentiment", model=locked.path) as run:
        assert run("good")[0]["label"] == "positive"


def test_a_wrong_and_a_missing_key_are_one_clear_error(
    locked: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", "sentiment", "good", "--model", str(locked.path)]
    monkeypatch.setenv("NLPLUG_MODEL_KEY", "08" * 32)
    wrong = CliRunner().invoke(main, command)
    assert wrong.exit_code == BundleLocked.exit_code
    assert wrong.stderr.startswith("Error: The key is not the one that")
    assert "08" * 32 not in wrong.output
    monkeypatch.delenv("NLPLUG_MODEL_KEY")
    missing = CliRunner().invoke(main, command)
    assert missing.exit_code == BundleLocked.exit_code
    assert "is encrypted, and no key is given" in missing.stderr
    assert "NLPLUG_MODEL_KEY_FILE" in missing.stderr


@pytest.mark.parametrize("key", ["short", "zz" * 32, "07" * 31, "é" * 64])
def test_what_is_no_key_is_refused_and_not_shown(
    locked: Bundle, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("NLPLUG_MODEL_KEY", key)
    with pytest.raises(OptionError, match="not 64 hexadecimal digits") as raised:
        pipeline("sentiment", model=locked.path)
    assert key not in str(raised.value)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(locked: Bundle, name: str) -> None:
    path = locked.path / name
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleCorrupt, match="it was changed or renamed"):
        pipeline("sentiment", model=locked.path, precision="fp32")("good")


def test_files_cannot_be_exchanged(locked: Bundle) -> None:
    one, two = (locked.path / "onnx" / name for name in ("model.onnx", "model_int8.onnx"))
    two.write_bytes(one.read_bytes())
    with pytest.raises(BundleCorrupt, match="it was changed or renamed"):
        locked.signature("int8")


def test_decrypting_gives_the_same_files(plain: Bundle, locked: Bundle, tmp_path: Path) -> None:
    again = decrypt_bundle(locked, tmp_path / "again")
    assert again.manifest is not None
    assert plain.manifest is not None
    assert again.manifest.files == plain.manifest.files
    with pytest.raises(OptionError, match="is not encrypted"):
        decrypt_bundle(plain, tmp_path / "more")
    with pytest.raises(OptionError, match="is encrypted already"):
        encrypt_bundle(locked, tmp_path / "more")
    with pytest.raises(OptionError, match="is the folder of the model"):
        decrypt_bundle(locked, locked.path)


def test_the_commands_take_a_key_file(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLPLUG_MODEL_KEY", raising=False)
    command = ["models", "encrypt", str(plain.path), "--output", str(tmp_path / "locked")]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == OptionError.exit_code
    assert "No key is given" in refused.stderr
    (tmp_path / "key").write_text(secrets.token_hex(32))
    key = ["--key-file", str(tmp_path / "key"), "--json"]
    done = CliRunner().invoke(main, [*command, *key])
    assert json.loads(done.stdout) == {"path": str(tmp_path / "locked")}
    back = ["models", "decrypt", str(tmp_path / "locked"), "-o", str(tmp_path / "back"), *key]
    assert CliRunner().invoke(main, back).exit_code == 0
    assert Bundle.open(tmp_path / "back").labels == plain.labels


def test_the_graphs_of_an_encrypted_model_cannot_be_changed(locked: Bundle) -> None:
    rows = locked.path / "config.json"  # not read
    command = ["models", "calibrate", str(locked.path), "--data", str(rows), "--task=sentiment"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == OptionError.exit_code
    assert "is encrypted, so its graphs cannot be changed" in result.stderr


def test_a_folder_without_a_manifest_is_not_encrypted(
    hub_layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_MODEL_KEY", KEY)
    with pytest.raises(BundleIncomplete, match=r"has no nlplug\.json"):
        encrypt_bundle(Bundle.open(hub_layout), tmp_path / "locked")


@pytest.mark.skipif(sys.platform == "win32", reason="audit events name files in another form")
def test_answering_writes_no_file(locked: Bundle, tmp_path: Path) -> None:
    code = (
        "import sys; from nlplug import pipeline\n"
        "written = []\n"
        "def audit(event, args):\n"
        "    if event == 'open' and args[2] & 3 and args[0] != '/dev/null':\n"
        "        written.append(args[0])\n"
        "sys.addaudithook(audit)\n"
        f"print(pipeline('sentiment', model={str(locked.path)!r})('good')[0]['label'])\n"
        "sys.exit(', '.join(map(str, written)) or None)"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "positive\n"), done.stderr
    # ONNX Runtime itself may leave the id of the session, a few bytes.
    assert [path for path in temporary.iterdir() if path.stat().st_size > 100] == []


def test_openvino_keeps_no_compiled_graph_of_an_encrypted_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    device = Device("openvino", part="gpu")
    assert "cache_dir" not in device.providers(1, may_cache=False)[0][1]
    assert not (tmp_path / "cache").exists()
    assert "cache_dir" in device.providers(1)[0][1]


@given(content=st.binary(max_size=40))
def test_chunks_are_bound_to_their_place(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    key = bytes(32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "_CHUNK", 10)
        (folder / "plain").write_bytes(content)
        path = folder / "locked"
        encrypt_file(folder / "plain", path, key)

        def read() -> bytes:
            with path.open("rb") as file:
                return b"".join(decrypted_chunks(path, file, key))

        assert read() == content
        whole = path.read_bytes()
        header, chunks = whole[:48], [whole[at : at + 26] for at in range(48, len(whole), 26)]
        others = [chunks[:-1], chunks[::-1], [*chunks, chunks[-1]], chunks[1:]]
        for changed in others:
            if changed != chunks:
                path.write_bytes(header + b"".join(changed))
                with pytest.raises(BundleCorrupt):
                    read()

"""Opening a bundle: what a whole one tells, and the error that each damage has of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlplug.errors import (
    BundleCorrupt,
    BundleError,
    BundleIncomplete,
    BundleVersionError,
    ModelNotFound,
    NlplugError,
    OptionError,
)
from nlplug.models.bundle import Bundle
from nlplug.models.layout import NO_LIMIT
from nlplug.models.protobuf import read_as_graph
from nlplug.testing import tiny_text_generator

WriteBundle = Callable[..., Bundle]


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "bundle")


def test_a_bundle_tells_what_it_is(bundle: Bundle) -> None:
    again = Bundle.open(bundle.path)
    assert again.name == "tiny"
    assert again.labels == ["negative", "positive"]
    assert again.id2label == {0: "negative", 1: "positive"}
    assert again.max_length == 32
    assert again.tokenizer_file == bundle.path / "tokenizer.json"
    assert again.precisions == {
        "fp32": bundle.path / "onnx" / "model.onnx",
        "int8": bundle.path / "onnx" / "model_int8.onnx",
    }


def test_a_folder_in_the_hubs_layout_needs_no_manifest(hub_layout: Path) -> None:
    bundle = Bundle.open(hub_layout, verify=True)
    assert bundle.manifest is None
    assert bundle.name == "hub-layout"
    assert bundle.labels == ["negative", "positive"]
    assert bundle.max_length == 32
    assert bundle.precisions == {"fp32": hub_layout / "onnx" / "model.onnx"}


def test_the_layout_of_optimum_has_its_graphs_at_the_root(hub_layout: Path) -> None:
    for name in ("model.onnx", "model_quantized.onnx"):
        shutil.copy(hub_layout / "onnx" / "model.onnx", hub_layout / name)
    shutil.rmtree(hub_layout / "onnx")
    assert Bundle.open(hub_layout).precisions == {
        "fp32": hub_layout / "model.onnx",
        "int8": hub_layout / "model_quantized.onnx",
    }


def test_the_manifest_decides_over_the_config(write_bundle: WriteBundle, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", labels=["bad", "good"], max_length=16)
    assert bundle.labels == ["bad", "good"]
    assert bundle.max_length == 16


def test_a_model_of_several_graphs_has_them_all(hub_layout: Path) -> None:
    for name in ("encoder_model", "decoder_model_merged", "encoder_model_quantized"):
        shutil.copy(hub_layout / "onnx" / "model.onnx", hub_layout / "onnx" / f"{name}.onnx")
    (hub_layout / "onnx" / "model.onnx").unlink()
    bundle = Bundle.open(hub_layout)
    assert sorted(bundle.graphs) == ["decoder_model_merged", "encoder_model"]
    assert sorted(bundle.graphs["encoder_model"]) == ["fp32", "int8"]
    # Only one of the two has int8, so that the model has none.
    decoder = hub_layout / "onnx" / "decoder_model_merged.onnx"
    assert bundle.precisions == {"fp32": decoder}
    assert bundle.onnx_file("fp32") == decoder
    assert bundle.onnx_file("fp32", "encoder_model").name == "encoder_model.onnx"
    with pytest.raises(OptionError, match="no precision 'int8' of the graph 'decoder_model_me"):
        bundle.onnx_file("int8", "decoder_model_merged")


def test_a_decoder_by_itself_is_a_model_whatever_its_file_is_called(hub_layout: Path) -> None:
    file = hub_layout / "onnx" / "model.onnx"
    file.rename(file.with_name("decoder_model_merged.onnx"))
    assert list(Bundle.open(hub_layout).precisions) == ["fp32"]


def test_a_precision_it_lacks_lists_those_it_has(bundle: Bundle) -> None:
    with pytest.raises(OptionError, match="no precision 'fp16'") as caught:
        bundle.onnx_file("fp16")
    assert caught.value.hint == "It has: fp32, int8."


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no folder"):
        Bundle.open(tmp_path / "nothing")


def test_a_file_instead_of_a_folder(hub_layout: Path) -> None:
    with pytest.raises(BundleError, match="is a file") as caught:
        Bundle.open(hub_layout / "onnx" / "model.onnx")
    assert "folder" in str(caught.value.hint)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BundleIncomplete, match=r"holds no config\.json"):
        Bundle.open(tmp_path)


def test_a_model_that_was_never_exported(hub_layout: Path) -> None:
    (hub_layout / "onnx" / "model.onnx").unlink()
    with pytest.raises(BundleIncomplete, match="holds no ONNX file") as caught:
        Bundle.open(hub_layout)
    assert "nlplug export" in str(caught.value.hint)


def test_a_model_without_a_fast_tokenizer(hub_layout: Path) -> None:
    (hub_layout / "tokenizer.json").unlink()
    with pytest.raises(BundleIncomplete, match=r"no tokenizer\.json"):
        _ = Bundle.open(hub_layout).tokenizer_file


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model_int8.onnx"]
)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    with pytest.raises(BundleIncomplete) as caught:
        Bundle.open(bundle.path)
    assert name in caught.value.message


def test_a_truncated_file_is_seen_without_reading_it(bundle: Bundle) -> None:
    file = bundle.onnx_file("int8")
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(BundleCorrupt, match=r"model_int8\.onnx has \d+ bytes; the manifest says"):
        Bundle.open(bundle.path)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model_int8.onnx"]
)
def test_a_flipped_byte_is_found_by_its_sha256(bundle: Bundle, name: str) -> None:
    file = bundle.path / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleCorrupt) as caught:
        Bundle.open(bundle.path, verify=True)
    assert name in caught.value.message


def test_a_half_written_folder_is_no_model(bundle: Bundle) -> None:
    (bundle.path / "nlplug.json").rename(bundle.path / "nlplug.json.partial")
    with pytest.raises(BundleIncomplete, match="is incomplete: it holds") as caught:
        Bundle.open(bundle.path)
    assert "Delete the folder" in str(caught.value.hint)


def test_a_copy_that_lost_the_manifest_is_no_plain_repository(bundle: Bundle) -> None:
    (bundle.path / "nlplug.json").unlink()
    with pytest.raises(BundleIncomplete, match=r"its manifest nlplug\.json is missing"):
        Bundle.open(bundle.path)


def test_a_manifest_of_a_future_version(bundle: Bundle) -> None:
    manifest = json.loads((bundle.path / "nlplug.json").read_text())
    (bundle.path / "nlplug.json").write_text(json.dumps({**manifest, "format_version": 2}))
    with pytest.raises(BundleVersionError, match="format version 2") as caught:
        Bundle.open(bundle.path)
    assert "upgrade" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "nlplug.json"])
def test_broken_json_is_named(bundle: Bundle, hub_layout: Path, name: str) -> None:
    folder = bundle.path if name == "nlplug.json" else hub_layout
    (folder / name).write_text('{"half')
    with pytest.raises(BundleCorrupt, match="not valid JSON") as caught:
        Bundle.open(folder)
    assert name in caught.value.message


def test_json_that_is_no_object_is_named(hub_layout: Path) -> None:
    (hub_layout / "config.json").write_text("[]")
    with pytest.raises(BundleCorrupt, match="holds no JSON object"):
        Bundle.open(hub_layout)


def test_malformed_labels_are_named(hub_layout: Path) -> None:
    config = json.loads((hub_layout / "config.json").read_text())
    (hub_layout / "config.json").write_text(json.dumps({**config, "id2label": {"one": "x"}}))
    with pytest.raises(BundleCorrupt, match=r"config\.json"):
        _ = Bundle.open(hub_layout).labels


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leaves_the_folder_is_refused(
    hub_layout: Path, tmp_path: Path, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "model.onnx").write_bytes(b"0")
    if kind == "file":
        (hub_layout / "onnx" / "model_int8.onnx").symlink_to(outside / "model.onnx")
    else:
        (hub_layout / "more").symlink_to(outside)
    with pytest.raises(BundleError, match="outside the bundle") as caught:
        Bundle.open(hub_layout, verify=True)
    assert "cp -rL" in str(caught.value.hint)


def test_a_link_inside_the_folder_is_fine(hub_layout: Path) -> None:
    (hub_layout / "onnx" / "model_int8.onnx").symlink_to("model.onnx")
    assert sorted(Bundle.open(hub_layout, verify=True).precisions) == ["fp32", "int8"]


def test_opening_imports_nothing_heavy(bundle: Bundle) -> None:
    script = (
        "import sys; from pathlib import Path; from nlplug.models.bundle import Bundle\n"
        f"bundle = Bundle.open(Path({str(bundle.path)!r})); bundle.labels; bundle.max_length\n"
        "heavy = {'numpy', 'onnxruntime', 'onnx', 'tokenizers', 'huggingface_hub', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 48}, 48),
        ({"max_seq_len": 40}, 40),
        ({}, NO_LIMIT),
    ],
)
def test_the_length_in_the_tokenizers_files_does_not_end_a_generated_text(
    config: dict[str, int], window: int, tmp_path: Path
) -> None:
    made = tiny_text_generator(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 16}')
    assert Bundle.open(made.path).max_length == window


def test_a_graph_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    with (
        pytest.raises(NlplugError, match="Too many open files at model.onnx") as caught,
        read_as_graph(tmp_path),
    ):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "model.onnx")
    assert not isinstance(caught.value, BundleError)

"""Tiny real bundles, and a stand-in of the Hub that the settings point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn, Repo

from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.writer import BundleWriter
from nlplug.settings import Settings, load_settings
from nlplug.testing import tiny_text_classifier

WriteBundle = Callable[..., Bundle]


@pytest.fixture
def hub_layout(tmp_path: Path) -> Path:
    """A tiny classifier as Hub repositories hold it: no manifest."""
    return tiny_text_classifier(tmp_path / "hub-layout").path


@pytest.fixture
def repository(hub_layout: Path) -> dict[str, bytes]:
    """The files of a repository laid out as ``onnx-community/*``."""
    files = {
        path.relative_to(hub_layout).as_posix(): path.read_bytes()
        for path in hub_layout.rglob("*")
        if path.is_file()
    }
    graph = files["onnx/model.onnx"]
    return {
        **files,
        "onnx/model_quantized.onnx": graph,
        "onnx/model_fp16.onnx": graph,
        "onnx/model_q4.onnx": graph,
        "README.md": b"# A model",
        "pytorch_model.bin": b"never fetched, never unpickled",
        "vocab.txt": b"never fetched",
    }


@pytest.fixture
def write_bundle(hub_layout: Path) -> WriteBundle:
    """Write a bundle with a manifest: ``write_bundle(target, name=…, task=…)``."""

    def write(target: Path, *, note: str = "", **manifest: object) -> Bundle:
        with BundleWriter(target) as writer:
            (writer.folder / "onnx").mkdir()
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
                (writer.folder / name).write_bytes((hub_layout / name).read_bytes())
            graph = (hub_layout / "onnx" / "model.onnx").read_bytes()
            for name in ("model", "model_int8"):
                (writer.folder / "onnx" / f"{name}.onnx").write_bytes(graph)
            if note:
                (writer.folder / "NOTE").write_text(note)
            fields: dict[str, object] = {
                "name": "tiny",
                "task": "sentiment",
                "labels": ["negative", "positive"],
                "max_length": 32,
                "license": "Apache-2.0",
                "precisions": {
                    "fp32": PrecisionRecord(
                        file="onnx/model.onnx", metrics={"accuracy": 0.9, "loss": 0.0}
                    ),
                    "int8": PrecisionRecord(file="onnx/model_int8.onnx", metrics={"loss": 0.001}),
                },
            }
            return writer.commit(Manifest.model_validate({**fields, **manifest}))

    return write


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a cache of its own."""
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    return load_settings()


@pytest.fixture
def hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: dict[str, bytes]
) -> Iterator[HubStandIn]:
    """A stand-in of the Hub with the repository ``acme/tiny``; nobody is logged in."""
    from huggingface_hub import constants

    # What it read from the environment of whoever runs the tests, once, when it was imported.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    with HubStandIn().running() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.endpoint)
        repo = Repo(card={"license": "mit", "language": "en"})
        repo.push(repository)
        stand_in.repos["acme/tiny"] = repo
        yield stand_in

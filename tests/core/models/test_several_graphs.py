"""Models of an encoder and a decoder: fetched, packed and described as one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn, Repo
from pydantic import ValidationError

from nlplug.errors import BundleIncomplete
from nlplug.models.bundle import Bundle
from nlplug.models.cache import pull
from nlplug.models.hub import HubRef
from nlplug.models.layout import run_together
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.pack import PackConfig, pack_wheel
from nlplug.models.resolve import resolve
from nlplug.models.writer import BundleWriter
from nlplug.settings import load_settings

FP32 = {
    "decoder_model_merged": "onnx/decoder_model_merged.onnx",
    "encoder_model": "onnx/encoder_model.onnx",
}
INT8 = {graph: file.replace(".onnx", "_int8.onnx") for graph, file in FP32.items()}
RECORDS = {
    "fp32": PrecisionRecord(file=FP32["decoder_model_merged"], graphs=FP32),
    "int8": PrecisionRecord(
        file=INT8["decoder_model_merged"], graphs=INT8, parity={"agreement": 1.0}
    ),
}


@pytest.fixture
def translator(hub_layout: Path, tmp_path: Path) -> Bundle:
    """A bundle in two precisions; what its graphs compute plays no part here."""
    graph = (hub_layout / "onnx" / "model.onnx").read_bytes()
    with BundleWriter(tmp_path / "translator") as writer:
        (writer.folder / "onnx").mkdir()
        for name in ("config.json", "tokenizer.json"):
            (writer.folder / name).write_bytes((hub_layout / name).read_bytes())
        (writer.folder / "generation_config.json").write_text("{}")
        for name in (*FP32.values(), *INT8.values()):
            (writer.folder / name).write_bytes(graph)
        return writer.commit(Manifest(name="en-fr", task="toy", precisions=RECORDS))


@pytest.fixture
def repository(repository: dict[str, bytes]) -> dict[str, bytes]:
    """As Optimum and transformers.js lay out a translator on the Hub."""
    graph = repository["onnx/model.onnx"]
    kept = {name: body for name, body in repository.items() if not name.startswith("onnx/")}
    stems = ("encoder_model", "decoder_model", "decoder_with_past_model", "decoder_model_merged")
    graphs = {f"onnx/{stem}{ending}.onnx": graph for stem in stems for ending in ("", "_quantized")}
    return {**kept, **graphs, "generation_config.json": b"{}"}


@pytest.mark.parametrize(
    ("graphs", "run"),
    [
        (["model"], ("model",)),
        (["encoder_model", "decoder_model_merged"], ("decoder_model_merged", "encoder_model")),
        (["decoder_model_merged", "decoder_model"], ("decoder_model_merged",)),
        (["encoder_model", "decoder_model"], ()),
        (
            ["encoder_model", "decoder_model", "decoder_with_past_model"],
            ("decoder_model", "encoder_model", "decoder_with_past_model"),
        ),
        (["vision_model"], ()),
    ],
)
def test_which_graphs_are_run_together(graphs: list[str], run: tuple[str, ...]) -> None:
    assert run_together(graphs) == run


def test_a_bundle_finds_the_graphs_of_a_precision(translator: Bundle) -> None:
    assert list(translator.precisions) == ["fp32", "int8"]
    for graph, file in INT8.items():
        assert translator.onnx_file("int8", graph) == translator.path / file
    assert translator.record("int8").parity == {"agreement": 1.0}


def test_both_graphs_are_packed_and_those_of_another_precision_are_not(
    translator: Bundle, tmp_path: Path
) -> None:
    with zipfile.ZipFile(
        pack_wheel(translator, tmp_path, PackConfig("en-fr", precisions=["int8"], force=True))
    ) as archive:
        archive.extractall(tmp_path / "site")
    packed = Bundle.open(tmp_path / "site" / "nlplug_model_en_fr" / "bundle", verify=True)
    assert packed.record("int8") == RECORDS["int8"]
    assert packed.graphs.keys() == INT8.keys()
    assert list(packed.precisions) == ["int8"]
    assert (packed.path / "generation_config.json").is_file()


def test_of_a_repository_only_what_is_run_is_fetched(hub: HubStandIn) -> None:
    bundle = resolve("acme/tiny", precision="int8")
    assert {name for name in hub.fetched() if name.endswith(".onnx")} == {
        "onnx/decoder_model_merged_quantized.onnx",
        "onnx/encoder_model_quantized.onnx",
    }
    assert "generation_config.json" in hub.fetched()
    assert list(bundle.precisions) == ["int8"]
    assert list(pull(HubRef("acme/tiny"), load_settings(), precisions=["fp32"]).precisions) == [
        "fp32",
        "int8",
    ]


def test_an_exported_bundle_keeps_its_records_through_the_hub(
    hub: HubStandIn, translator: Bundle
) -> None:
    hub.repos["acme/en-fr"] = Repo()
    hub.repos["acme/en-fr"].push(
        {
            path.relative_to(translator.path).as_posix(): path.read_bytes()
            for path in translator.path.rglob("*")
            if path.is_file()
        }
    )
    bundle = resolve("acme/en-fr")
    assert bundle.record("int8") == RECORDS["int8"]
    assert list(bundle.precisions) == ["int8"]
    bundle.verify()


def test_a_graph_that_was_not_written_is_named(hub_layout: Path, tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as writer:
        (writer.folder / "config.json").write_bytes((hub_layout / "config.json").read_bytes())
        (writer.folder / "onnx").mkdir()
        (writer.folder / FP32["decoder_model_merged"]).write_bytes(b"0")
        with pytest.raises(BundleIncomplete, match="names onnx/encoder_model.onnx, which was not"):
            writer.commit(Manifest(name="b", precisions={"fp32": RECORDS["fp32"]}))


def test_a_graph_outside_the_bundle_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a path inside"):
        Manifest(
            name="b",
            precisions={"fp32": PrecisionRecord(file="m.onnx", graphs={"e": "../other.onnx"})},
        )

"""A file that was changed on purpose is accepted by ``nlplug models seal``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlplug.cli.main import main
from nlplug.errors import BundleCorrupt, BundleIncomplete
from nlplug.models.bundle import Bundle
from nlplug.models.seal import seal


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))


@pytest.fixture
def bundle(write_bundle: Callable[..., Bundle], tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "b")


def test_a_changed_side_file_is_refused_with_the_command_that_accepts_it(bundle: Bundle) -> None:
    change(bundle.path / "tokenizer_config.json", model_max_length=16)
    with pytest.raises(BundleCorrupt) as caught:
        Bundle.open(bundle.path, verify=True)
    assert f"nlplug models seal {bundle.path}" in str(caught.value)
    command = ["models", "seal", str(bundle.path)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "tokenizer_config.json" in done.output
    again = Bundle.open(bundle.path, verify=True)
    assert again.max_length == 16
    assert json.loads(CliRunner().invoke(main, [*command, "--json"]).output)["changed"] == []


def test_new_labels_in_the_config_are_taken(bundle: Bundle) -> None:
    assert bundle.labels
    labels = [f"new {label}" for label in bundle.labels]
    change(bundle.path / "config.json", id2label=dict(enumerate(labels)))
    sealed, changed = seal(bundle.path)
    assert changed == ["config.json"]
    assert sealed.labels == labels
    assert sealed.max_length == bundle.max_length


def test_metrics_of_a_graph_that_changed_are_dropped(bundle: Bundle) -> None:
    precision, record = next(iter(bundle.manifest.precisions.items()))  # type: ignore[union-attr]  # write_bundle writes one
    assert record.metrics or record.parity
    (bundle.path / record.file).write_bytes(b"another graph")
    sealed, changed = seal(bundle.path)
    assert changed == [record.file]
    assert sealed.record(precision).metrics == sealed.record(precision).parity == {}


def test_added_and_removed_side_files_are_recorded(bundle: Bundle) -> None:
    (bundle.path / "README.md").write_text("New.")
    sealed, changed = seal(bundle.path)
    assert changed == ["README.md"]
    (bundle.path / "README.md").unlink()
    assert seal(sealed.path)[1] == ["README.md"]
    bundle.verify()


def test_a_missing_graph_cannot_be_sealed(bundle: Bundle) -> None:
    bundle.onnx_file(next(iter(bundle.precisions))).unlink()
    with pytest.raises(BundleIncomplete, match="is missing"):
        seal(bundle.path)


def test_a_folder_without_a_manifest_has_nothing_to_seal(tmp_path: Path) -> None:
    with pytest.raises(BundleIncomplete, match="nothing to seal"):
        seal(tmp_path)

"""`nlplug push` uploads a bundle that `nlplug models pull` gets back, with a card for the Hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hub_stand_in import TOKEN, HubStandIn
from huggingface_hub import constants, metadata_load
from key_kit import make_keys

from nlplug.cli.main import main
from nlplug.errors import BundleError, GateRefused, OfflineError, OptionError, UploadError
from nlplug.models.bundle import Bundle
from nlplug.models.cache import pull
from nlplug.models.hub import HubRef
from nlplug.models.manifest import PrecisionRecord
from nlplug.models.push import push
from nlplug.models.signing import check_signature, sign
from nlplug.settings import load_settings

WriteBundle = Callable[..., Bundle]
ENDPOINT = constants.ENDPOINT
CARD = "# Tickets\n\nSorts tickets.\n"


@pytest.fixture
def bundle(write_bundle: WriteBundle, tmp_path: Path) -> Bundle:
    return write_bundle(
        tmp_path / "b", name="tickets", hub_task="text-classification", languages=["en"]
    )


@pytest.fixture
def writable(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> HubStandIn:
    """The stand-in of the Hub, for a user with a token that may write."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # It reads HF_ENDPOINT once, when it is imported, and takes addresses of commits apart with it.
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in has no Xet storage
    return hub


def uploaded(hub: HubStandIn, name: str = "acme/tickets") -> dict[str, bytes]:
    repo = hub.repos[name]
    return repo.commits[repo.branches["main"]]


def unpacked(files: dict[str, bytes], folder: Path) -> Bundle:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Bundle.open(folder)


def test_what_is_uploaded_is_a_whole_bundle(
    bundle: Bundle, writable: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = push(bundle, "acme/tickets", load_settings())
    repo = writable.repos["acme/tickets"]
    assert address == f"{writable.endpoint}/acme/tickets/commit/{repo.branches['main']}"
    assert repo.messages == ["Upload tickets with nlplug"]
    unpacked(uploaded(writable), tmp_path / "copy").verify()
    monkeypatch.setattr(constants, "ENDPOINT", ENDPOINT)
    pulled = pull(HubRef("acme/tickets"), load_settings())
    assert pulled.labels == bundle.labels
    assert pulled.precisions.keys() <= bundle.precisions.keys()


def test_the_card_has_the_front_matter_of_the_hub(
    bundle: Bundle, writable: HubStandIn, tmp_path: Path
) -> None:
    push(bundle, "acme/tickets", load_settings())
    card = unpacked(uploaded(writable), tmp_path / "copy").path / "README.md"
    assert metadata_load(card) == {
        "language": ["en"],
        "library_name": "nlplug",
        "license": "apache-2.0",
        "pipeline_tag": "text-classification",
        "tags": ["onnx", "nlplug"],
    }
    assert "| fp32 | 0.9000 | +0.00 |" in card.read_text()


def test_a_card_of_the_bundle_stays_and_one_with_front_matter_is_not_changed(
    bundle: Bundle, writable: HubStandIn
) -> None:
    from nlplug.models.seal import seal

    for card in (CARD, f"---\nlicense: mit\n---\n\n{CARD}"):
        (bundle.path / "README.md").write_text(card)
        sealed, _ = seal(bundle.path)
        push(sealed, "acme/tickets", load_settings())
        text = uploaded(writable)["README.md"].decode()
        assert text.endswith(CARD)
        assert text == card or not card.startswith("---")
        assert text.count("---\n") == 2


def test_a_signed_bundle_is_uploaded_as_it_is(
    bundle: Bundle, writable: HubStandIn, tmp_path: Path
) -> None:
    keys = make_keys(tmp_path / "keys", "ours")
    sign(bundle.path, keys.private)
    push(bundle, "acme/tickets", load_settings())
    check_signature(unpacked(uploaded(writable), tmp_path / "copy").path, keys.public)


def test_a_second_push_adds_a_commit_and_uploads_only_what_is_new(
    bundle: Bundle, writable: HubStandIn
) -> None:
    push(bundle, "acme/tickets", load_settings(), private=True)
    first = [method for method, _ in writable.requests]
    push(bundle, "acme/tickets", load_settings(), message="Again")
    repo = writable.repos["acme/tickets"]
    assert repo.private
    assert repo.messages == ["Upload tickets with nlplug", "Again"]
    assert "PUT" in first
    assert "PUT" not in [method for method, _ in writable.requests[len(first) :]]


def test_a_model_that_did_not_pass_the_gate_is_not_uploaded(
    write_bundle: WriteBundle, writable: HubStandIn, tmp_path: Path
) -> None:
    records = {"fp32": PrecisionRecord(file="onnx/model.onnx")}
    bundle = write_bundle(tmp_path / "b", precisions=records)
    with pytest.raises(GateRefused):
        push(bundle, "acme/tickets", load_settings())
    assert "acme/tickets" not in writable.repos
    push(bundle, "acme/tickets", load_settings(), force=True)
    assert "acme/tickets" in writable.repos


def test_who_may_not_write_is_told_so(bundle: Bundle, hub: HubStandIn) -> None:
    result = CliRunner().invoke(main, ["push", str(bundle.path), "acme/tickets"])
    assert result.exit_code == UploadError.exit_code
    assert "cannot be uploaded to acme/tickets" in result.stderr
    assert "hf auth login" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_hub_has_to_be_within_reach(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, writable: HubStandIn
) -> None:
    monkeypatch.setenv("NLPLUG_OFFLINE", "1")
    with pytest.raises(OfflineError, match="switched off"):
        push(bundle, "acme/tickets", load_settings())
    monkeypatch.delenv("NLPLUG_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UploadError, match="on http://127.0.0.1:9"):
        push(bundle, "acme/tickets", load_settings())


@pytest.mark.parametrize("name", ["tickets", "a/b/c", "acme/tickets@v1", "../x"])
def test_what_is_no_name_of_a_repository_is_refused(
    bundle: Bundle, writable: HubStandIn, name: str
) -> None:
    with pytest.raises(OptionError, match="not a name of a repository"):
        push(bundle, name, load_settings())


def test_a_damaged_bundle_is_not_uploaded(bundle: Bundle, writable: HubStandIn) -> None:
    (bundle.path / "config.json").write_text("{}")
    with pytest.raises(BundleError):
        push(bundle, "acme/tickets", load_settings())
    assert "acme/tickets" not in writable.repos


def test_the_command_prints_the_address(bundle: Bundle, writable: HubStandIn) -> None:
    result = CliRunner().invoke(main, ["push", str(bundle.path), "acme/tickets", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["commit"].startswith(f"{writable.endpoint}/acme/tickets/")

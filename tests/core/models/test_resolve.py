"""From what a user types to a bundle: path, then packaged name, then cache, then Hub."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from plugin_zoo import install

from nlplug.errors import BundleIncomplete, ModelNotFound, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.resolve import resolve
from nlplug.plugins import PluginHost

RECOMMENDS = """
from nlplug import ModelSpec, hookimpl


@hookimpl
def register_models():
    return [ModelSpec(name="recommended", task="tone", hub_id="acme/tiny")]
"""


@pytest.fixture
def host(hub_layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    """A host with the packages of two models: one that embeds it and one that recommends it."""
    site = tmp_path / "site"
    embeds = RECOMMENDS.replace("recommended", "embedded").replace(
        'hub_id="acme/tiny"', f"path=__import__('pathlib').Path({str(hub_layout)!r})"
    )
    for name, source in (("embedded", embeds), ("recommended", RECOMMENDS)):
        install(
            site,
            dist=f"model-{name}",
            modules={f"model_{name}": source},
            plugins={name: f"model_{name}"},
            kinds={name: "models"},
        )
        monkeypatch.delitem(sys.modules, f"model_{name}", raising=False)
    monkeypatch.syspath_prepend(str(site))
    return PluginHost.discover(path=[str(site)])


def test_a_bundle_is_itself(hub_layout: Path) -> None:
    bundle = Bundle.open(hub_layout)
    assert resolve(bundle) is bundle


def test_a_path_is_opened(hub_layout: Path) -> None:
    assert resolve(hub_layout).path == hub_layout
    assert resolve(str(hub_layout)).path == hub_layout


def test_a_relative_path_is_opened(hub_layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hub_layout.parent)
    for written in (
        "hub-layout",
        "./hub-layout",
        "hub-layout/",
        "../" + os.path.relpath(hub_layout, hub_layout.parent.parent),
    ):
        assert resolve(written).path.resolve() == hub_layout.resolve()


def test_a_tilde_is_the_home(hub_layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(hub_layout.parent))
    assert resolve("~/hub-layout").path == hub_layout


def test_a_folder_wins_over_a_packaged_name(
    host: PluginHost, hub_layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(hub_layout, tmp_path / "here" / "embedded")
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("embedded", host=host).path == Path("embedded")


def test_a_folder_that_is_no_model_does_not_hide_a_packaged_name(
    host: PluginHost, hub_layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "embedded").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("embedded", host=host).path == hub_layout


def test_a_packaged_model_is_found_by_its_name(host: PluginHost, hub_layout: Path) -> None:
    assert resolve("embedded", host=host).path == hub_layout


def test_a_package_that_lost_its_model_is_to_be_installed_again(
    host: PluginHost, hub_layout: Path
) -> None:
    shutil.rmtree(hub_layout)
    with pytest.raises(BundleIncomplete, match="package of the model 'embedded' is incomplete"):
        resolve("embedded", host=host)


def test_a_packaged_name_may_stand_for_a_model_of_the_hub(
    host: PluginHost, hub: HubStandIn
) -> None:
    assert resolve("recommended", host=host).name == "acme/tiny"


def test_a_hub_id_imports_no_plugin(host: PluginHost, hub: HubStandIn) -> None:
    resolve("acme/tiny", host=host)
    assert {record.state for record in host.records()} == {"available"}


def test_an_unknown_name_lists_what_there_is_and_guesses(host: PluginHost) -> None:
    with pytest.raises(ModelNotFound, match="no model 'embeded'") as caught:
        resolve("embeded", host=host)
    hint = str(caught.value.hint)
    assert "Did you mean 'embedded'?" in hint
    assert "embedded, recommended" in hint


@pytest.mark.parametrize("written", ["../nothing", "./nothing", "/nothing/here", "~/nothing", "."])
def test_a_path_that_leads_nowhere_is_no_hub_id(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ModelNotFound, BundleIncomplete), match=r"no folder|not a model folder"):
        resolve(written)
    assert hub.requests == []


@pytest.mark.parametrize(
    "written",
    ["acme/../tiny", "acme/..", "a/b/c", "acme//tiny", "acme/ti ny", "acme/tiny?x", "a--b/c",
     "acme/tiny@", "https://huggingface.co/acme/tiny", "acme/tiny\n"],
)  # fmt: skip
def test_what_is_no_hub_id_is_never_asked_for(
    hub: HubStandIn, host: PluginHost, written: str
) -> None:
    with pytest.raises(ModelNotFound, match="neither a folder nor a Hub id"):
        resolve(written, host=host)
    assert hub.requests == []


@pytest.mark.parametrize("revision", ["../../x", "a..b", "/etc", "-f", "a b"])
def test_a_revision_that_is_none_is_refused(hub: HubStandIn, revision: str) -> None:
    with pytest.raises(OptionError, match="not a revision of a repository"):
        resolve("acme/tiny", revision=revision)
    assert hub.requests == []


def test_two_revisions_contradict_each_other(hub: HubStandIn) -> None:
    with pytest.raises(OptionError, match="another revision"):
        resolve("acme/tiny@v1", revision="v2")


def test_a_folder_without_a_model_is_named_as_such(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match="The folder 'empty' is not a model"):
        resolve("empty", host=host)


def test_without_leave_to_fetch_the_command_is_named(hub: HubStandIn) -> None:
    with pytest.raises(ModelNotFound, match="not in the cache") as caught:
        resolve("acme/tiny", precision="int8", fetch=False)
    assert caught.value.hint == "nlplug models pull acme/tiny --precision int8"
    assert hub.requests == []

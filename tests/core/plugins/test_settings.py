"""NLPLUG_PLUGINS and NLPLUG_STRICT."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_zoo import install

from nlplug import PluginHost
from nlplug.errors import OptionError, PluginError, UnknownTask
from nlplug.settings import load_settings

from .conftest import PREAMBLE

TASK = PREAMBLE + (
    "\nclass Mine(Plain):\n    name = '{name}'\n\n"
    "@hookimpl\ndef register_tasks():\n    return [Mine()]\n"
)


@pytest.fixture
def both(site: Path) -> Path:
    install(site, "nlplug-aa", {"plugin_a": TASK.format(name="aa")}, plugins={"aa": "plugin_a"})
    install(site, "nlplug-bb", {"plugin_b": "1 / 0"}, plugins={"bb": "plugin_b"})
    return site


def test_the_filter_of_the_environment(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPLUG_PLUGINS", "bb, cc")

    host = PluginHost.discover(path=[str(both)])

    assert [(r.name, r.state) for r in host.records()] == [("aa", "disabled"), ("bb", "available")]
    assert host.task_names() == ["bb"]


def test_an_empty_filter_switches_all_off(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPLUG_PLUGINS", "")

    assert PluginHost.discover(path=[str(both)]).task_names() == []


def test_a_disabled_plugin_says_how_to_switch_it_on(both: Path) -> None:
    host = PluginHost.discover(path=[str(both)], only=["bb"])

    with pytest.raises(UnknownTask, match="'aa' is disabled") as caught:
        host.task("aa")
    assert "NLPLUG_PLUGINS" in str(caught.value.hint)
    with pytest.raises(PluginError, match="'aa' is disabled"):
        host.load("aa")


def test_a_disabled_plugin_cannot_fail(both: Path) -> None:
    host = PluginHost.discover(path=[str(both)], only=["aa"], strict=True)

    assert [task.name for task in host.tasks()] == ["aa"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OFFLINE", "maybe"),
        ("VERIFY", "2"),
        ("STRICT", "y es"),
        ("THREADS", "1025"),
        ("THREADS", "²"),
    ],
)
def test_a_value_that_means_nothing_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"NLPLUG_{name}", value)

    with pytest.raises(OptionError, match=f"NLPLUG_{name} is '{value}', which is n"):
        load_settings()


def test_strict_by_the_environment(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPLUG_STRICT", "1")

    with pytest.raises(PluginError, match="nlplug-bb 1.0"):
        PluginHost.discover(path=[str(both)]).tasks()


def test_hosts_share_nothing(both: Path) -> None:
    first = PluginHost.discover(path=[str(both)])
    second = PluginHost.discover(path=[str(both)])

    first.load("aa")

    assert first.records()[0].state == "loaded"
    assert second.records()[0].state == "available"
    assert second.task("aa") is not first.task("aa")


def test_one_name_may_be_given_bare(both: Path) -> None:
    assert PluginHost.discover(path=[str(both)], only="aa").task_names() == ["aa"]

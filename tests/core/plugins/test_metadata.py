"""Finding plugins: names, aliases and kinds from metadata, whatever state they are in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plugin_zoo import install

from nlplug import PluginHost
from nlplug.errors import UnknownTask


def discover(site: Path) -> PluginHost:
    return PluginHost.discover(path=[str(site)])


def test_finding_imports_nothing(site: Path) -> None:
    install(site, "nlplug-bomb", {"bomb": "raise SystemExit(3)"}, plugins={"bomb": "bomb"})

    host = discover(site)

    assert [record.state for record in host.records()] == ["available"]
    assert host.task_names() == ["bomb"]
    assert "bomb" not in sys.modules


def test_a_record_tells_what_the_metadata_says(site: Path) -> None:
    install(
        site,
        "nlplug-ner",
        {},
        version="2.1",
        plugins={"ner": "some.module"},
        aliases={"token-classification": "ner"},
    )

    (record,) = discover(site).records()

    assert (record.name, record.dist, record.version) == ("ner", "nlplug-ner", "2.1")
    assert (record.module, record.kind, record.tasks) == ("some.module", "task", ("ner",))
    assert record.aliases == ("token-classification",)
    assert record.summary == "The plugin nlplug-ner."


def test_a_kind_other_than_task_is_no_task(site: Path) -> None:
    install(site, "tool", {}, plugins={"tool": "tool"}, kinds={"tool": "commands"})
    host = discover(site)

    assert host.records()[0].kind == "commands"
    assert host.task_names() == []
    with pytest.raises(UnknownTask):
        host.task("tool")


def test_of_two_distributions_the_one_named_after_the_plugin_has_the_name(site: Path) -> None:
    install(site, "aaa", {}, plugins={"ner": "a"})
    install(site, "nlplug-ner", {}, plugins={"ner": "b"})

    winner, loser = discover(site).records()

    assert (winner.dist, winner.state) == ("nlplug-ner", "available")
    assert (loser.dist, loser.state) == ("aaa", "failed")
    assert loser.cause == "the name 'ner' is taken by nlplug-ner 1.0 (b)"


def test_of_two_strangers_the_alphabet_decides(site: Path) -> None:
    install(site, "zzz", {}, plugins={"ner": "z"})
    install(site, "aaa", {}, plugins={"ner": "a"})

    assert [(r.dist, r.state) for r in discover(site).records()] == [
        ("aaa", "available"),
        ("zzz", "failed"),
    ]


def test_the_first_copy_of_a_distribution_on_the_path_is_the_one(tmp_path: Path) -> None:
    install(tmp_path / "new", "nlplug-ner", {}, version="2.0", plugins={"ner": "a"})
    install(tmp_path / "old", "nlplug-ner", {}, version="1.0", plugins={"ner": "a"})

    host = PluginHost.discover(path=[str(tmp_path / "new"), str(tmp_path / "old")])

    assert [record.version for record in host.records()] == ["2.0"]


def test_an_alias_does_not_hide_a_plugin_of_that_name(site: Path) -> None:
    install(site, "nlplug-a", {}, plugins={"a": "a"}, aliases={"b": "a", "c": "a"})
    install(site, "nlplug-b", {}, plugins={"b": "b"})

    assert discover(site).aliases() == {"c": "a"}


def test_malformed_metadata_hides_no_other_plugin(site: Path) -> None:
    install(site, "nlplug-a", {}, plugins={"a": "a"})
    torn = site / "torn-1.0.dist-info"
    torn.mkdir()
    (torn / "entry_points.txt").write_text("[nlplug]\nno equals sign\nx = not a module!\n[open")
    binary = site / "binary-1.0.dist-info"
    binary.mkdir()
    (binary / "entry_points.txt").write_bytes(b"[nlplug]\nb = b\xff\n")

    records = discover(site).records()

    assert [(record.name, record.dist) for record in records] == [
        ("a", "nlplug-a"),
        ("x", "unknown"),
    ]


def test_an_unknown_task_lists_those_that_are_there(site: Path) -> None:
    install(site, "nlplug-ner", {}, plugins={"ner": "n"}, aliases={"token-classification": "ner"})

    with pytest.raises(UnknownTask) as caught:
        discover(site).task("token-clasification")

    assert "'token-clasification'" in caught.value.message
    assert "Did you mean 'token-classification'?" in str(caught.value.hint)
    assert "Installed: ner." in str(caught.value.hint)


def test_tasks_that_were_left_out_are_not_called_missing(site: Path) -> None:
    install(site, "nlplug-ner", {}, plugins={"ner": "n"})
    with pytest.raises(UnknownTask) as caught:
        PluginHost.discover(only={"nre"}, path=[str(site)]).task("nre")
    assert "Installed: ner." in str(caught.value.hint)


def test_without_any_plugin_the_error_says_how_to_get_one(site: Path) -> None:
    with pytest.raises(UnknownTask) as caught:
        discover(site).task("sentiment")

    assert "nlplug plugins install sentiment" in str(caught.value.hint)

"""What ``nlplug plugins install|uninstall|freeze`` tell pip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from plugin_zoo import install

from nlplug.cli.main import main
from nlplug.errors import PluginError
from nlplug.plugins import installer
from nlplug.plugins.metadata import scan


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("ner", "nlplug-ner"),
        ("ner==1.2", "nlplug-ner==1.2"),
        ("ner[gpu]>=1", "nlplug-ner[gpu]>=1"),
        ("nlplug-ner", "nlplug-ner"),
        ("NLPlug_NER", "NLPlug_NER"),
        ("nlplug[cpu]", "nlplug[cpu]"),
        ("./ner", "./ner"),
        (".", "."),
        ("ner-1.0-py3-none-any.whl", "ner-1.0-py3-none-any.whl"),
        ("ner-1.0.tar.gz", "ner-1.0.tar.gz"),
        ("git+https://host/x.git", "git+https://host/x.git"),
        ("acme @ file:///tmp/acme", "acme @ file:///tmp/acme"),
    ],
)
def test_short_names_and_everything_else(typed: str, told: str) -> None:
    assert installer.requirement(typed) == told


def test_exact_names_stay(tmp_path: Path) -> None:
    assert installer.requirement("acme-nlp", exact=True) == "acme-nlp"


def test_a_source_folder_without_a_slash_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)

    assert installer.requirement("mine") == "./mine"


def test_what_is_no_requirement_is_refused() -> None:
    with pytest.raises(PluginError, match="'=1'"):
        installer.requirement("=1")


def test_pip_of_this_environment_is_used() -> None:
    assert installer.installer() == [sys.executable, "-m", "pip"]


def test_without_pip_uv_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])

    monkeypatch.delitem(sys.modules, "pip", raising=False)

    assert installer.installer() == [str(uv), "pip"]


def test_without_pip_and_uv_the_error_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pip", raising=False)

    with pytest.raises(PluginError, match="no pip") as caught:
        installer.installer()

    assert str(caught.value.hint).endswith("-m ensurepip --upgrade")


def test_a_failing_pip_is_an_error_of_ours() -> None:
    with pytest.raises(PluginError, match="pip install ended with exit code"):
        installer.run(["install", "--no-index", "nlplug-there-is-no-such-plugin"])


@pytest.mark.parametrize("name", ["ner", "nlplug-ner", "NLPLUG_ner", "token-classification"])
def test_a_plugin_is_removed_by_its_name_distribution_or_alias(site: Path, name: str) -> None:
    install(
        site,
        "nlplug-ner",
        {},
        plugins={"ner": "broken beyond repair"},
        aliases={"token-classification": "ner"},
    )

    assert installer.distribution_of(name, scan([str(site)])) == "nlplug-ner"


def test_the_plugin_of_a_stranger_is_removed_by_the_plugins_name(site: Path) -> None:
    install(site, "acme-nlp", {}, plugins={"ner": "acme"})

    assert installer.distribution_of("ner", scan([str(site)])) == "acme-nlp"


def test_a_name_that_two_distributions_claim_is_not_guessed(site: Path) -> None:
    install(site, "acme-nlp", {}, plugins={"ner": "acme"})
    install(site, "nlplug-ner", {}, plugins={"ner": "ours"})

    with pytest.raises(PluginError, match=r"acme-nlp, nlplug-ner"):
        installer.distribution_of("ner", scan([str(site)]))
    assert installer.distribution_of("acme-nlp", scan([str(site)])) == "acme-nlp"


def test_what_is_no_plugin_is_not_removed() -> None:
    done = CliRunner().invoke(main, ["plugins", "uninstall", "-y", "pytest"])

    assert done.exit_code == PluginError.exit_code
    assert "No plugin 'pytest' is installed." in done.stderr


def test_a_plugin_outside_of_the_environment_is_not_reported_as_removed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "acme-nlp", {}, plugins={"ner": "acme"})
    monkeypatch.setenv("PYTHONPATH", str(site))

    done = CliRunner().invoke(main, ["plugins", "uninstall", "-y", "acme-nlp"])

    assert done.exit_code == PluginError.exit_code
    assert done.stderr.splitlines() == [
        f"Error: acme-nlp 1.0 is still installed: it is in {site}, outside the environment "
        f"{sys.prefix}.",
        f"Hint: Remove {site} from PYTHONPATH.",
    ]


def test_what_is_left_is_named_with_the_way_to_remove_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer.check_removed(["acme-nlp"])
    install(site, "acme-nlp", {}, plugins={"ner": "acme"})
    with pytest.raises(PluginError, match="outside the environment") as caught:
        installer.check_removed(["acme-nlp"])
    assert str(caught.value.hint).endswith("-m pip uninstall acme-nlp")
    monkeypatch.setattr(sys, "prefix", str(site.parent))
    with pytest.raises(PluginError, match="is still installed") as caught:
        installer.check_removed(["acme-nlp"])
    assert "second copy" in str(caught.value.hint)


def test_installing_nothing_is_an_error() -> None:
    done = CliRunner().invoke(main, ["plugins", "install", "--no-deps"])

    assert done.exit_code == 2
    assert "No plugin is named" in done.stderr


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "nlplug-ner==1.0"),
        ("torn", "nlplug-ner==1.0"),
        ({"url": "file:///a%20b", "dir_info": {"editable": True}}, "-e /a b"),
        ({"url": "file:///a/b", "dir_info": {}}, "nlplug-ner @ file:///a/b"),
        (
            {"url": "https://h/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "nlplug-ner @ git+https://h/x.git@abc",
        ),
        (
            {"url": "file:///a", "dir_info": {}, "subdirectory": "sub"},
            "nlplug-ner @ file:///a#subdirectory=sub",
        ),
    ],
)
def test_pinned_by_version_or_by_where_it_came_from(site: Path, origin: object, line: str) -> None:
    install(site, "nlplug-ner", {}, plugins={"ner": "n"})
    if origin is not None:
        file = site / "nlplug_ner-1.0.dist-info" / "direct_url.json"
        file.write_text(json.dumps(origin) if origin != "torn" else '{"url"')

    assert installer.pinned("nlplug-ner") == line

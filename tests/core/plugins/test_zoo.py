"""A healthy plugin beside five broken ones: it runs, and each of them is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_zoo import BROKEN, HEALTHY, Specimen, environment, install_zoo

from nlplug import PluginHost, pipeline
from nlplug.errors import PluginError

broken = pytest.mark.parametrize("specimen", BROKEN, ids=lambda specimen: specimen.module)


@pytest.fixture
def host(zoo: Path) -> PluginHost:
    return PluginHost.discover(path=[str(zoo)])


def test_the_healthy_one_answers(host: PluginHost) -> None:
    host.load_all()

    assert pipeline("tone", host=host)("good")[0]["label"] == "positive"


@broken
def test_each_broken_one_is_named_with_distribution_version_cause_and_hint(
    host: PluginHost, specimen: Specimen
) -> None:
    host.load_all()

    record = next(r for r in host.records() if r.dist == specimen.dist)
    assert (record.name, record.version, record.state) == (
        specimen.name,
        specimen.version,
        "failed",
    )
    assert specimen.cause in str(record.cause)
    assert specimen.hint in str(record.hint)


def test_nothing_of_a_broken_one_is_offered(host: PluginHost) -> None:
    assert [task.name for task in host.tasks()] == ["tone"]
    assert [spec.name for spec in host.models()] == ["tone-tiny"]
    assert host.task_names() == ["tone"]


def test_each_broken_one_is_logged(host: PluginHost, caplog: pytest.LogCaptureFixture) -> None:
    host.load_all()

    for specimen in BROKEN[:4]:
        assert f"{specimen.dist} {specimen.version} was left out: " in caplog.text


@pytest.mark.parametrize("specimen", BROKEN[:4], ids=lambda specimen: specimen.module)
def test_asking_for_a_broken_one_raises_its_cause(host: PluginHost, specimen: Specimen) -> None:
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            host.task(specimen.name)

        assert f"{specimen.dist} {specimen.version}" in caught.value.message
        assert specimen.cause in caught.value.message
        assert specimen.hint in str(caught.value.hint)


def test_strict_makes_any_of_them_fatal(zoo: Path) -> None:
    with pytest.raises(PluginError):
        PluginHost.discover(path=[str(zoo)], strict=True).load_all()


def test_a_name_that_is_taken_is_fatal_when_strict(zoo: Path) -> None:
    host = PluginHost.discover(path=[str(zoo)], strict=True)

    with pytest.raises(PluginError, match="another-tone 1.5"):
        host.task("tone")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_zoo(tmp_path_factory.mktemp("zoo"))


def nlplug(site: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in an environment where the zoo is installed."""
    return subprocess.run(
        [sys.executable, "-m", "nlplug", *arguments],
        env=environment(site, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_answers_with_the_healthy_one(installed: Path) -> None:
    done = nlplug(installed, "run", "tone", "good")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] == "positive"


def test_listing_names_all_and_imports_none(installed: Path) -> None:
    done = nlplug(installed, "plugins", "list", "--json")

    states = {r["dist"]: r["state"] for r in json.loads(done.stdout)}
    assert states[HEALTHY.dist] == "available"
    assert [states[specimen.dist] for specimen in BROKEN] == ["available"] * 4 + ["failed"]


def test_listing_with_load_names_each_broken_one(installed: Path) -> None:
    done = nlplug(installed, "plugins", "list", "--load", NLPLUG_STRICT="1")

    assert done.returncode == 0, done.stderr
    for specimen in BROKEN:
        row = next(line for line in done.stdout.splitlines() if f" {specimen.dist} " in line)
        assert row.split() == [specimen.name, "task", specimen.dist, specimen.version, "failed"]
        assert specimen.cause in done.stdout
        assert specimen.hint in done.stdout


@broken
def test_check_names_the_cause_and_exits_with_4(installed: Path, specimen: Specimen) -> None:
    done = nlplug(installed, "plugins", "check", specimen.dist)

    assert done.returncode == 4
    assert f"{specimen.name} ({specimen.dist} {specimen.version})" in done.stdout
    assert f"FAIL  loads: {specimen.cause.split(' (')[0]}" in done.stdout.replace(
        "importing zoo_import failed: ModuleNotFoundError: ", ""
    )
    assert specimen.hint in done.stdout


def test_running_a_broken_one_prints_its_cause_and_hint(installed: Path) -> None:
    done = nlplug(installed, "run", "zoo-raising", "text")

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "Error: The plugin 'zoo-raising' of nlplug-zoo-raising 1.4 was left out: register_tasks "
        "raised RuntimeError: no licence file "
        f"({installed.name}/zoo_raising.py, line 5).",
        "Hint: Report it to the authors of nlplug-zoo-raising, or remove it: "
        "nlplug plugins uninstall nlplug-zoo-raising",
    ]


def test_freeze_works_beside_broken_plugins(installed: Path) -> None:
    done = nlplug(installed, "plugins", "freeze")

    assert done.returncode == 0, done.stderr
    assert "nlplug-zoo-import==1.1" in done.stdout.splitlines()
    assert "another-tone==1.5" in done.stdout.splitlines()

"""The code of a plugin: what it prints goes to stderr, and it cannot stop a server by hanging."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from plugin_zoo import HEALTHY, environment, install, install_zoo

from nlplug import PluginHost
from nlplug.errors import OptionError, PluginError
from nlplug.plugins.isolation import StillRunning, run_isolated, stdout_to_stderr

from .conftest import Write

LOUD = """
print("printed at import")

@hookimpl
def register_tasks():
    print("printed in a hook")
    yield Plain()
    print("printed in a generator")

@hookimpl
def register_commands(cli):
    print("printed while commands are registered")
"""
HANGING = "\nimport threading\nthreading.Event().wait(60)\n"
HANGING_HOOK = (
    "\n@hookimpl\ndef register_tasks():\n    import threading; threading.Event().wait(60)\n"
)


def test_what_a_plugin_prints_goes_to_stderr(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    host = write(LOUD)
    host.load("plain")
    host.call("register_commands", cli=None)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "printed at import",
        "printed in a hook",
        "printed in a generator",
        "printed while commands are registered",
    ]


LOUD_OPTIONS = """
from nlplug.families.sequence_classification import SequenceClassificationOptions

class Options(SequenceClassificationOptions):
    def model_post_init(self, context):
        print("printed by the options")

ToneTask.Options = Options
print("printed")
import atexit, os, subprocess, sys
os.write(1, b"written\\n")
subprocess.run([sys.executable, "-c", "print('printed by a child')"])
sys.__stdout__.write("printed to the first stdout\\n")
atexit.register(print, "printed at exit")
atexit.register(os.write, 1, b"written at exit\\n")
"""


@pytest.fixture(scope="module")
def loud_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo, whose healthy plugin prints at import and later, beside another one that prints."""
    site = install_zoo(tmp_path_factory.mktemp("zoo"))
    module = site / f"{HEALTHY.module}.py"
    module.write_text(module.read_text(encoding="utf-8") + LOUD_OPTIONS, "utf-8")
    install(site, "nlplug-loud", {"loud": "print('printed too')\n1 / 0"}, plugins={"loud": "loud"})
    return site


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "tone", "good"),
        ("plugins", "list", "--load", "--json"),
        ("plugins", "check", "nlplug-tone", "--json"),
        ("models", "list", "--json"),
    ],
    ids=" ".join,
)
def test_the_output_of_a_command_is_json_and_nothing_of_a_plugin(
    loud_zoo: Path, arguments: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlplug", *arguments],
        env=environment(loud_zoo, NLPLUG_PLUGINS="tone,loud"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    told = {"printed", "written", "printed by a child", "printed to the first stdout"}
    assert told | {"printed at exit", "written at exit"} <= {*done.stderr.splitlines()}
    if arguments[0] == "run":
        assert "printed by the options" in done.stderr.splitlines()


def test_stdout_is_restored_when_the_last_of_several_threads_is_done() -> None:
    ours = sys.stdout
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with stdout_to_stderr():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=work, daemon=True)  # also ends if an assertion fails
    with stdout_to_stderr():
        thread.start()
        inside.wait()
    assert sys.stdout is sys.stderr  # the thread is still inside

    leave.set()
    thread.join()
    assert sys.stdout is ours


@pytest.mark.parametrize(
    ("module", "source", "what"),
    [
        ("hangs_at_import", HANGING, "importing hangs_at_import"),
        ("hangs_in_hook", HANGING_HOOK, "register_tasks"),
    ],
)
def test_a_plugin_that_hangs_is_left_out_with_its_distribution_and_place(
    write: Write, site: Path, module: str, source: str, what: str
) -> None:
    write(source, module=module)
    host = PluginHost.discover(path=[str(site)], timeout=0.2)

    with pytest.raises(PluginError) as caught:
        host.load("plain")

    assert "'plain' of nlplug-plain 1.0" in caught.value.message
    assert f"{what} did not finish within 0.2 s" in caught.value.message
    assert f"({site.name}/{module}.py, line " in caught.value.message
    assert "NLPLUG_PLUGIN_TIMEOUT" in str(caught.value.hint)
    assert "nlplug plugins uninstall nlplug-plain" in str(caught.value.hint)
    assert host.records()[0].state == "failed"


def test_the_environment_sets_the_limit(
    write: Write, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(HANGING, module="hangs_too")
    monkeypatch.setenv("NLPLUG_PLUGIN_TIMEOUT", "0.1")

    with pytest.raises(PluginError, match=r"did not finish within 0\.1 s"):
        PluginHost.discover(path=[str(site)], timeout=600).load("plain")


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e9"])
def test_a_limit_that_is_no_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch, value: str, site: Path
) -> None:
    monkeypatch.setenv("NLPLUG_PLUGIN_TIMEOUT", value)

    with pytest.raises(OptionError, match="NLPLUG_PLUGIN_TIMEOUT"):
        PluginHost.discover(path=[str(site)])


def test_without_a_limit_a_plugin_runs_in_the_thread_that_asks() -> None:
    assert run_isolated(threading.current_thread, None) is threading.current_thread()
    assert run_isolated(threading.current_thread, 60.0) is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_the_code_of_a_plugin_raises_is_raised_with_a_limit_too(
    error: type[BaseException],
) -> None:
    def work() -> None:
        raise error("for a reason")

    with pytest.raises(error, match="for a reason"):
        run_isolated(work, 60.0)


def test_the_stack_of_code_that_hangs_begins_where_it_is() -> None:
    end = threading.Event()

    def hang() -> None:
        end.wait()

    with pytest.raises(StillRunning) as caught:
        run_isolated(hang, 0.05)
    end.set()

    assert "hang" in [frame.name for frame in caught.value.stack]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[httpx.Client]:
    """``nlplug serve`` in an environment where one plugin hangs at import."""
    site = install_zoo(tmp_path / "site")
    modules = {"hanging": HANGING}
    install(site, "nlplug-hanging", modules, version="2.3", plugins={"hang": "hanging"})
    process = subprocess.Popen(
        [sys.executable, "-m", "nlplug", "serve", "--port", "0"],
        env=environment(site, NLPLUG_PLUGIN_TIMEOUT="1", NLPLUG_PLUGINS="tone,hang"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stderr or [])
        address = next(found[0] for line in lines if (found := re.search(r"http://[\d.:]+", line)))
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client
        started = monotonic()
        process.terminate()
        process.communicate(timeout=60)
        assert monotonic() - started < 30  # the plugin still hangs
    finally:
        process.kill()
        process.communicate()


def test_a_server_starts_beside_a_plugin_that_hangs_and_names_it(server: httpx.Client) -> None:
    answer = server.post("/models/tone", json={"inputs": "good"}).json()
    plugins = {found["name"]: found for found in server.get("/models").json()["failed_plugins"]}
    failed = plugins["hang"]

    assert answer[0][0]["label"] == "positive"
    assert (failed["dist"], failed["version"]) == ("nlplug-hanging", "2.3")
    assert "importing hanging did not finish within 1 s" in failed["cause"]
